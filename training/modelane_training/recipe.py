"""What to train for one model: a Python file with one ``Recipe``.  RECIPE → retrain.

A recipe is code and runs with the trainer's rights.  Only who may change the trainer's files may
write one, so a model's name from the queue is looked up in the recipes folder and is never a path.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

import numpy as np
from celery.schedules import ParseException, crontab
from numpy.typing import NDArray
from optuna import TrialPruned
from sklearn.base import BaseEstimator, clone

from modelane.errors import BadInput, ModelaneError, RecipeError
from modelane.keys import check_model_name
from modelane_training.dataset.build_table import tabulate
from modelane_training.dataset.table import Table
from modelane_training.evaluation.evaluate import METRICS
from modelane_training.evaluation.predictions import positive_class
from modelane_training.gate import Gate
from modelane_training.sources import Source, function
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import Scalar, Task

#: Recipes run as modules of this name and a digest: it tells a saved estimator that refers to one.
MODULE_PREFIX = "_modelane_recipe_"

#: Whole numbers with more different values than this are amounts, not names of classes.
MAX_NUMBERED_CLASSES = 20
MIN_ROWS_A_CLASS = 5


E = TypeVar("E", bound=BaseEstimator)


class Trainable(Estimator, Protocol):
    """An estimator before its training."""

    def fit(self, rows: Any, targets: Any, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a search may go on: whichever ends first.

    Raises:
        RecipeError: there would be no search.
    """

    trials: int = 30
    minutes: float = 5.0

    def __post_init__(self) -> None:
        if not (isinstance(self.trials, int) and self.trials >= 1):
            raise RecipeError(f"budget of {self.trials} trials: expected a whole number, at least 1")
        if not 0 < self.minutes < float("inf"):
            raise RecipeError(f"budget of {self.minutes} minutes: expected more than 0")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is made.

    Raises:
        RecipeError: it contradicts itself.
    """

    model: str
    source: Source  #: read at each run
    target: str = "target"  #: name of the column to predict
    task: Task | None = None  #: None: by the target, and stated
    metric: str | None = None  #: what search and gate compare, one of ``METRICS[task]``; None: by the task
    #: Of two classes the one that is looked for: precision, recall and F1 are of it; None: the rarer one.
    positive: Scalar = None
    candidates: tuple[Any, ...] | None = None  #: what the search chooses from; None: all there are
    budget: Budget = field(default_factory=Budget)
    joblib_backend: str | None = None  #: what fits run on in a search, such as "dask"; None: this machine
    gate: Gate = field(default_factory=Gate)
    schedule: str | None = None  #: when beat asks for a retraining, as a crontab line: "0 4 * * *"
    leave_out: tuple[str, ...] = ()  #: columns that are not features
    keep: tuple[str, ...] = ()  #: columns that are features whatever the checks say of them
    groups: str | None = None  #: column, not a feature, whose rows of one value stay on one side of a split
    time: str | None = None  #: column, not a feature, by which the latest rows are the hold-out
    hold_out: float = 0.2  #: share of the rows that training never sees
    seed: int = 0  #: of the split, the same at each run: champion and candidate meet on the same rows
    #: Instead of a search: unfitted, or made from the run's seed.
    estimator: Trainable | Callable[[int], Trainable] | None = None

    def __post_init__(self) -> None:
        try:
            check_model_name(self.model)
        except BadInput as exc:
            raise RecipeError(str(exc)) from exc
        if self.task is not None and self.task not in METRICS:
            raise RecipeError(f"task {self.task!r}: expected one of {', '.join(METRICS)}")
        if self.metric is not None:
            self._check_metric(self.metric)
        self._check_columns()
        if self.schedule is not None:
            try:
                crontab.from_string(self.schedule)
            except (ParseException, ValueError, TypeError, AttributeError) as exc:
                raise RecipeError(
                    f"schedule {self.schedule!r}: expected a crontab line such as '0 4 * * *'"
                ) from exc
        if not 0 < self.hold_out < 1:
            raise RecipeError(f"hold_out {self.hold_out}: expected a share between 0 and 1")
        if not callable(self.source):
            raise RecipeError("source: expected a function, such as sources.csv('data.csv')")
        if self.estimator is None:
            return
        if not (hasattr(self.estimator, "fit") or callable(self.estimator)):
            raise RecipeError("estimator: expected an estimator, or a function that makes one")
        if self.candidates is not None:
            raise RecipeError("an estimator is fitted as it is, candidates are searched: give one of them")

    def _check_metric(self, metric: str) -> None:
        tasks = METRICS if self.task is None else {self.task: METRICS[self.task]}
        if not any(metric in names for names in tasks.values()):
            expected = "; ".join(f"for a {task}, expected one of {', '.join(tasks[task])}" for task in tasks)
            raise RecipeError(f"metric {metric!r}: {expected}")

    def _check_columns(self) -> None:
        for field_name, names in (("leave_out", self.leave_out), ("keep", self.keep)):
            if isinstance(names, str):
                raise RecipeError(f"{field_name}: expected a tuple of names, such as ({names!r},)")
        if both := set(self.keep) & {*self.leave_out, self.target, self.groups, self.time}:
            raise RecipeError(f"keep: {both.pop()!r} is no feature")
        if self.target in (*self.leave_out, self.groups, self.time):
            raise RecipeError(f"{self.target!r} is the target, it cannot be left out, or give groups or time")
        if self.groups is not None and self.groups == self.time:
            raise RecipeError(f"{self.groups!r} cannot be both groups and time")

    def collect(self, spare: Collection[str] = ()) -> Table:
        """All rows, each column typed.

        Args:
            spare: columns to read even if they are left out; see :class:`Table`.

        Raises:
            BadData: a column is missing, or of no one type.
            RecipeError: the source failed, or gave something else than rows.
        """
        with self.running("source"):
            given = function.read(self.source, self.target)
        if isinstance(given, Table):
            return given.leaving_out(self.leave_out, spare)
        return tabulate(given, self, spare)

    def resolve(self, table: Table) -> Resolved:
        """The recipe with task and metric decided for this data.

        Raises:
            RecipeError: the metric is not one of the task that the target has, or it has no such class.
        """
        task = self.task or infer_task(table.targets)
        decided = {
            "task": task,
            "metric": self.metric or default_metric(self, table.targets, task),
            "positive": self._positive(table.targets) if task == "classification" else None,
        }
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return Resolved(**(given | decided))

    def _positive(self, targets: NDArray[Any]) -> Scalar:
        """Once for all rows: parts of them have other shares, in which another class may be the rarer one."""
        classes = np.unique(targets).tolist()
        if self.positive is None:
            return positive_class(targets)
        if self.positive not in classes or len(classes) != 2:
            raise RecipeError(
                f"positive {self.positive!r}: expected one of two classes, the target has "
                + ", ".join(map(repr, classes[:MAX_NUMBERED_CLASSES]))
            )
        return self.positive

    def fit(self, training: Table, seed: int) -> Estimator:
        """The recipe's own estimator, anew and fitted; ``seed`` is for what it leaves to chance.

        Raises:
            RecipeError: the recipe names none, or it fails.
        """
        with self.running("estimator"):
            if self.estimator is None:
                raise RecipeError(f"the recipe of {self.model} names no estimator")
            unfitted = clone(self.estimator) if hasattr(self.estimator, "fit") else self.estimator(seed)
            if isinstance(unfitted, BaseEstimator):
                seeded(unfitted, seed)
            unfitted.fit(training.matrix(), training.targets)
            return unfitted

    @contextmanager
    def running(self, part: str) -> Iterator[None]:
        """Turn what the recipe's own code raises into a ``RecipeError`` that names the part and the line."""
        try:
            yield
        except (ModelaneError, TrialPruned):
            raise
        except Exception as exc:  # a recipe's own code may raise anything
            raise RecipeError(f"the {part} of {self.model} failed: {error_with_line(exc)}") from exc


@dataclass(frozen=True, kw_only=True)
class Resolved(Recipe):
    """A recipe whose task and metric are decided."""

    task: Task
    metric: str


def infer_task(targets: NDArray[Any]) -> Task:
    """Classification for names and for few different whole numbers, else regression."""
    if targets.dtype.kind not in "iuf":
        return "classification"
    present = targets[np.isfinite(targets)] if targets.dtype.kind == "f" else targets
    if (present != np.floor(present)).any():
        return "regression"
    distinct = len(np.unique(present))
    few = distinct <= MAX_NUMBERED_CLASSES and distinct * MIN_ROWS_A_CLASS <= len(present)
    return "classification" if few or distinct <= 2 else "regression"


def default_metric(recipe: Recipe, targets: NDArray[Any], task: Task) -> str:
    """R² for numbers; ROC-AUC for two classes, accuracy for more and for what may give no shares."""
    if task == "regression":
        return "r2"
    return "roc_auc" if recipe.estimator is None and len(np.unique(targets)) == 2 else "accuracy"


def error_with_line(exc: BaseException) -> str:
    """The error and, if there is one, the line of a recipe that it came from."""
    lines = [
        line
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(MODULE_PREFIX)
    ]
    words = f"{type(exc).__name__}: {exc}"
    return words + (f" (line {lines[-1]})" if lines else "")


def seeded(estimator: E, seed: int) -> E:
    """The same estimator with every ``random_state`` that was left open."""
    state = seed % 2**32
    left_open = {
        name: state
        for name, value in estimator.get_params().items()
        if name.endswith("random_state") and value is None
    }
    estimator.set_params(**left_open)
    return estimator
