"""Save a fitted estimator as bytes, and load it again.

Loading a pickle executes code, so ``load`` accepts only bytes that ``Store.read`` has verified.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from io import BytesIO
from typing import Any, Protocol

import joblib
from numpy.typing import NDArray

from modelane.errors import IncompatibleModel, RecipeError
from modelane_worker.registry.version_folder import Verified

MODEL_FILE = "model.joblib"

#: The libraries that decide how an estimator is pickled; the card records their versions.
_RECORDED = ("scikit-learn", "numpy", "joblib")

#: Their major and minor versions must be the trainer's: estimators change between minor versions.
_BINDING = ("scikit-learn", "numpy")

#: Pickles the code of a recipe as byte code, which needs the trainer's minor version of Python too.
_CARRIER = "cloudpickle"


class Estimator(Protocol):
    """A fitted scikit-learn estimator. It may have more methods; its card lists them."""

    def predict(self, rows: NDArray[Any], /) -> NDArray[Any]: ...


def libraries(*, with_code: bool = False) -> dict[str, str]:
    """Return the versions of the installed libraries, in the form of ``Card.libraries``.

    Args:
        with_code: Whether the estimator is saved by :func:`dump_with_code`.
    """
    recorded = (*_RECORDED, _CARRIER) if with_code else _RECORDED
    return {"python": platform.python_version(), **{name: version(name) for name in recorded}}


def dump(estimator: object) -> bytes:
    """Return a pickled estimator.

    Raises:
        RecipeError: The estimator cannot be pickled.
    """
    buffer = BytesIO()
    try:
        joblib.dump(estimator, buffer)
    except Exception as exc:  # any part of an estimator may raise any exception
        raise RecipeError(
            f"the estimator cannot be saved: {exc}; it must not contain lambdas or open files"
        ) from exc
    return buffer.getvalue()


def dump_with_code(estimator: object) -> bytes:
    """Return a pickled estimator with the classes and functions of its recipe, which workers do not have.

    Raises:
        RecipeError: The estimator cannot be pickled.
    """
    import cloudpickle  # noqa: PLC0415  # most workers never need it

    try:
        content: bytes = cloudpickle.dumps(estimator)
    except Exception as exc:  # as in dump
        raise RecipeError(
            f"the estimator cannot be saved: {exc}; it must not contain locks or connections"
        ) from exc
    return content


def load(verified: Verified) -> Estimator:
    """Load the estimator of a verified version.

    Raises:
        IncompatibleModel: The installed libraries differ from the trainer's, or the bytes cannot be loaded.
    """
    card = verified.card
    where = f"{card.model} {card.version}"
    check_libraries(card.libraries, libraries(), where)
    try:
        content = verified.files[MODEL_FILE]
    except KeyError as exc:
        raise IncompatibleModel(f"{where} has no {MODEL_FILE}: publish the model again") from exc
    try:
        estimator: Estimator = joblib.load(BytesIO(content))
    except Exception as exc:  # unpickling executes code of many libraries
        raise IncompatibleModel(
            f"{where} cannot be loaded here: {type(exc).__name__}: {exc}; install the packages of its trainer"
        ) from exc
    return estimator


def check_libraries(trained: dict[str, str], here: dict[str, str], where: str) -> None:
    """Compare the trainer's libraries with the installed ones.

    Args:
        trained: Library to version, as the card records them.
        here: Library to version, as they are installed.
        where: The model and its version, for the error message.

    Raises:
        IncompatibleModel: Some differ; the message lists them.
    """
    differing = [
        f"{name} {trained.get(name, '(not recorded)')} (installed: {here[name]})"
        for name in (("python", *_BINDING) if _CARRIER in trained else _BINDING)
        if _minor(trained.get(name, "")) != _minor(here[name])
    ]
    if differing:
        raise IncompatibleModel(
            f"{where} was trained with {', '.join(differing)}: "
            "install the same versions for workers and trainers, or train the model again"
        )


def _minor(number: str) -> list[str]:
    return number.split(".")[:2]
