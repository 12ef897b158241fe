"""What to train for one model: a Python file with one ``Recipe``.  RECIPE → retrain.

A recipe is code and runs with the trainer's rights.  Only who may change the trainer's files may
write one, so a model's name from the queue is looked up in the recipes folder and is never a path.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray
from sklearn.base import clone

from modelane.errors import BadInput, ModelaneError, RecipeError
from modelane.keys import check_model_name
from modelane_training.evaluate import METRICS
from modelane_training.gate import Gate
from modelane_training.sources import Source, Table
from modelane_worker.artefact import Estimator
from modelane_worker.card import Task

BUILT_IN = Path(__file__).parent / "recipes"

#: Recipes run as modules of this name and a digest: it tells a saved estimator that refers to one.
MODULE_PREFIX = "_modelane_recipe_"


class Trainable(Estimator, Protocol):
    """An estimator before its training."""

    def fit(self, rows: NDArray[Any], targets: NDArray[Any], /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is made.

    Raises:
        RecipeError: it contradicts itself.
    """

    model: str
    source: Source  #: read at each run
    estimator: Trainable | Callable[[int], Trainable]  #: unfitted; or made from the run's seed
    target: str = "target"  #: name of the column to predict
    task: Task = "classification"
    metric: str = "accuracy"  #: what the gate compares; one of ``METRICS[task]``
    gate: Gate = field(default_factory=Gate)
    hold_out: float = 0.2  #: share of the rows that training never sees
    seed: int = 0  #: of the split, the same at each run: champion and candidate meet on the same rows

    def __post_init__(self) -> None:
        try:
            check_model_name(self.model)
        except BadInput as exc:
            raise RecipeError(str(exc)) from exc
        if self.task not in METRICS:
            raise RecipeError(f"task {self.task!r}: expected one of {', '.join(METRICS)}")
        if self.metric not in METRICS[self.task]:
            raise RecipeError(
                f"metric {self.metric!r}: for a {self.task}, expected one of " + ", ".join(METRICS[self.task])
            )
        if not 0 < self.hold_out < 1:
            raise RecipeError(f"hold_out {self.hold_out}: expected a share between 0 and 1")
        if not callable(self.source):
            raise RecipeError("source: expected a function, such as sources.csv('data.csv')")
        if not (hasattr(self.estimator, "fit") or callable(self.estimator)):
            raise RecipeError("estimator: expected an estimator, or a function that makes one")

    def collect(self) -> Table:
        with self._running("source"):
            table = self.source(self.target)
        if not isinstance(table, Table):
            raise RecipeError(f"the source of {self.model} gave a {type(table).__name__}, not a Table")
        return table

    def fit(self, training: Table, seed: int) -> Estimator:
        """A new estimator, fitted; ``seed`` reaches it if the recipe makes it in a function."""
        with self._running("estimator"):
            unfitted = clone(self.estimator) if hasattr(self.estimator, "fit") else self.estimator(seed)
            unfitted.fit(training.rows, training.targets)
            return unfitted

    @contextmanager
    def _running(self, part: str) -> Iterator[None]:
        try:
            yield
        except ModelaneError:
            raise
        except Exception as exc:  # a recipe's own code may raise anything
            raise RecipeError(f"the {part} of {self.model} failed: {_in_words(exc)}") from exc


def load_recipe(path_or_model: str, folder: Path) -> Recipe:
    """The recipe in a file, or of a model.  For a person at a keyboard: a path is run.

    Raises:
        RecipeError: no such recipe, or it does not load.
    """
    if path_or_model.endswith(".py"):
        return _execute(Path(path_or_model))
    return recipe_of(path_or_model, folder)


def recipe_of(model: str, folder: Path) -> Recipe:
    """The recipe ``MODEL.py`` of ``folder``, else the one that comes with Modelane.

    Raises:
        BadInput: ``model`` is not a model's name.
        RecipeError: no such recipe, or it does not load, or it is for another model.
    """
    module = check_model_name(model).replace("-", "_")
    places = (folder / f"{model}.py", folder / f"{module}.py", BUILT_IN / f"{module}.py")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise RecipeError(f"no recipe for {model}: expected {places[0]} (MODELANE_RECIPES names the folder)")
    recipe = _execute(path)
    if recipe.model != model:
        raise RecipeError(f"{path} is the recipe of {recipe.model}, not of {model}")
    return recipe


def _execute(path: Path) -> Recipe:
    try:
        source = path.read_bytes()
    except OSError as exc:
        raise RecipeError(f"the recipe {path} cannot be read: {exc.strerror}") from exc
    digest = hashlib.sha256(str(path.absolute()).encode() + b"\0" + source).hexdigest()
    module = ModuleType(MODULE_PREFIX + digest[:16])
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up there
    try:
        # Not by an importer: its cache may hold the file as it was a second ago.
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  # a recipe is code
    except (Exception, SystemExit) as exc:
        del sys.modules[module.__name__]
        if isinstance(exc, RecipeError):
            raise RecipeError(f"the recipe {path}: {exc}") from exc
        raise RecipeError(f"the recipe {path} failed: {_in_words(exc)}") from exc
    found = {id(value): value for value in vars(module).values() if isinstance(value, Recipe)}
    if len(found) != 1:
        raise RecipeError(f"the recipe {path} holds {len(found)} Recipe objects, expected one")
    return next(iter(found.values()))


def _in_words(exc: BaseException) -> str:
    """The error and, if there is one, the line of a recipe that it came from."""
    lines = [
        line
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(MODULE_PREFIX)
    ]
    words = f"{type(exc).__name__}: {exc}"
    return words + (f" (line {lines[-1]})" if lines else "")
