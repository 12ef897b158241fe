"""A fitted estimator as bytes and back.  publish → ARTEFACT → store → ARTEFACT → live.

Reading a pickle runs it, so ``load`` takes nothing but bytes that ``store.read`` has verified.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from io import BytesIO
from typing import Any, Protocol

import joblib
from numpy.typing import NDArray

from modelane.errors import IncompatibleModel, RecipeError
from modelane_worker.registry.verification import Verified

MODEL_FILE = "model.joblib"

#: What decides how an estimator is pickled; recorded on the card.
_RECORDED = ("scikit-learn", "numpy", "joblib")

#: Of these, major and minor must be the trainer's: estimators change between minor versions.
_BINDING = ("scikit-learn", "numpy")

#: What carries a recipe's own code, if there is any: byte code, which binds Python too.
_CARRIER = "cloudpickle"


class Estimator(Protocol):
    """A fitted scikit-learn estimator; it may have more methods, its card says which."""

    def predict(self, rows: NDArray[Any], /) -> NDArray[Any]: ...


def libraries(*, with_code: bool = False) -> dict[str, str]:
    """What this process would load an estimator with, in the form of ``Card.libraries``.

    Args:
        with_code: it was made by :func:`dump_with_code`.
    """
    recorded = (*_RECORDED, _CARRIER) if with_code else _RECORDED
    return {"python": platform.python_version(), **{name: version(name) for name in recorded}}


def dump(estimator: object) -> bytes:
    """Save an estimator.

    Raises:
        RecipeError: it cannot be pickled.
    """
    buffer = BytesIO()
    try:
        joblib.dump(estimator, buffer)
    except Exception as exc:  # each part of an estimator may raise anything here
        raise RecipeError(
            f"the estimator cannot be saved: {exc}; it may hold no lambda and no open file"
        ) from exc
    return buffer.getvalue()


def dump_with_code(estimator: object) -> bytes:
    """Save an estimator with the classes and functions of its recipe, which no worker has.

    Raises:
        RecipeError: it cannot be pickled.
    """
    import cloudpickle  # noqa: PLC0415  # a worker that only loads does without, mostly

    try:
        content: bytes = cloudpickle.dumps(estimator)
    except Exception as exc:  # as in dump
        raise RecipeError(
            f"the estimator cannot be saved: {exc}; it may hold no lock and no connection"
        ) from exc
    return content


def load(verified: Verified) -> Estimator:
    """Bring a verified version's estimator to life.

    Raises:
        IncompatibleModel: other libraries than the trainer's, or the bytes do not load here.
    """
    card = verified.card
    where = f"{card.model} {card.version}"
    check_libraries(card.libraries, libraries(), where)
    try:
        content = verified.files[MODEL_FILE]
    except KeyError as exc:
        raise IncompatibleModel(f"{where} has no {MODEL_FILE}") from exc
    try:
        estimator: Estimator = joblib.load(BytesIO(content))
    except Exception as exc:  # unpickling runs code of many libraries
        raise IncompatibleModel(
            f"{where} does not load here: {type(exc).__name__}: {exc}; install what its trainer has"
        ) from exc
    return estimator


def check_libraries(trained: dict[str, str], here: dict[str, str], where: str) -> None:
    """Compare the libraries that bind an estimator.

    Raises:
        IncompatibleModel: naming each that differs, and what to do.
    """
    differing = [
        f"{name} {trained.get(name, '(not recorded)')}, here it is {here[name]}"
        for name in (("python", *_BINDING) if _CARRIER in trained else _BINDING)
        if _minor(trained.get(name, "")) != _minor(here[name])
    ]
    if differing:
        raise IncompatibleModel(
            f"{where} was made with {' and '.join(differing)}: "
            "give worker and trainer the same versions, or train again"
        )


def _minor(number: str) -> list[str]:
    return number.split(".")[:2]
