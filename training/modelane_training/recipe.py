"""What to train for one model: a Python file with one :class:`Recipe`.

A recipe is found by its model's name in the recipes folder, ``MODELANE_RECIPES``::

    # recipes/churn.py
    from pathlib import Path
    from modelane_training.recipe import Budget, Recipe
    from modelane_training.sources import csv

    recipe = Recipe(
        model="churn",
        source=csv(Path(__file__).with_name("churn.csv")),
        target="left",
        budget=Budget(trials=60, minutes=10),
        schedule="0 4 * * *",
    )

`modelane train churn` runs it in the foreground, `modelane retrain churn` asks a trainer to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from celery.schedules import ParseException, crontab
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from modelane.errors import BadInput, RecipeError
from modelane.keys import check_model_name
from modelane_training.dataset.build_table import build_table
from modelane_training.dataset.table import Table
from modelane_training.evaluation.metrics import METRICS
from modelane_training.evaluation.task_defaults import default_metric, infer_task, positive_class
from modelane_training.gate import Gate
from modelane_training.random_state import set_random_state
from modelane_training.recipe_errors import recipe_errors
from modelane_training.sources import Source, function
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import Scalar, Task

#: Classes that an error lists.
_MAX_LISTED = 20


class Trainable(Estimator, Protocol):
    """An estimator that is not fitted yet."""

    def fit(self, rows: Any, targets: Any, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a search ends: after a number of trials or a time, whichever comes first.

    Attributes:
        trials: the number of trials, at least 1; default: 30.
        minutes: the time in minutes, more than 0; default: 5. A trial that is running then is stopped.

    Raises:
        RecipeError: ``trials`` or ``minutes`` is too small.

    Example:
        >>> Budget(trials=60, minutes=10)
        Budget(trials=60, minutes=10)
    """

    trials: int = 30
    minutes: float = 5.0

    def __post_init__(self) -> None:
        if not (isinstance(self.trials, int) and self.trials >= 1):
            raise RecipeError(f"budget: trials={self.trials!r}: expected a whole number of at least 1")
        if not 0 < self.minutes < float("inf"):
            raise RecipeError(f"budget: minutes={self.minutes!r}: expected a finite number greater than 0")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained, evaluated and put into service.

    Without an ``estimator``, a search over ``candidates`` finds one. Options that are left out are decided
    from the data where the description says so; a run prints what it decided.

    Attributes:
        model: the name of the model, which is also the name of the recipe's file.
        source: the function that reads the rows, called at each run; see :mod:`modelane_training.sources`.
        target: the column to predict; default: ``"target"``.
        task: ``"classification"`` or ``"regression"``; default: classification if the target has strings or
            at most 20 distinct whole numbers in at least 5 rows each on average, else regression.
        metric: what the search and the gate compare; for a classification ``"accuracy"``,
            ``"balanced_accuracy"``, ``"precision"``, ``"recall"``, ``"f1"``, ``"roc_auc"``,
            ``"average_precision"``, ``"log_loss"``, ``"brier"`` or ``"ece"``, for a regression ``"r2"``,
            ``"rmse"``, ``"mae"`` or ``"median_ae"``. Default: ``"r2"`` for a regression, ``"roc_auc"`` for
            two classes, ``"accuracy"`` for more classes and with an ``estimator``.
        positive: the one of two classes to which precision, recall, F1 and average precision refer; default:
            the rarer one.
        candidates: what the search chooses from: names of built-in candidates, estimators, pipelines, or
            :class:`~modelane_training.candidate.Candidate` objects; default: all built-in candidates.
        budget: when the search ends; default: after 30 trials or 5 minutes.
        joblib_backend: the joblib backend that runs the fits of a search, such as ``"dask"``; default:
            processes on this machine.
        gate: what a candidate must achieve to be promoted; default: ``Gate()``, which requires a gain over
            the champion that is not due to chance.
        schedule: when beat requests a retraining: a crontab line with five fields, in UTC, such as
            ``"0 4 * * *"``; default: never.
        leave_out: columns that are not features; default: none.
        keep: columns that are features although a check would leave them out or refuse them: constant
            columns, columns that give the target away, and new columns that callers do not send yet; default:
            none.
        groups: a column, not a feature, that says which rows belong together, such as a customer's id. All
            rows with the same value are on the same side of every split. Default: rows are independent.
        time: a column, not a feature, with dates or numbers; the latest rows are the hold-out. Default: the
            hold-out is a random sample.
        hold_out: the share of the rows that are held out from training, to evaluate the candidate and the
            champion; between 0 and 1; default: 0.2.
        seed: decides which rows are held out; default: 0. It stays the same at each run, so that the champion
            was not trained on the rows that it is compared on.
        estimator: what to fit instead of searching: an unfitted estimator or pipeline, or a function that
            gets the run's seed and returns one; default: a search.

    Raises:
        RecipeError: an option has a wrong value, or two options contradict each other.

    Example:
        >>> from modelane_training.sources import csv
        >>> recipe = Recipe(model="churn", source=csv("churn.csv"), target="left", leave_out=("customer_id",))
        >>> recipe.hold_out
        0.2
    """

    model: str
    source: Source
    target: str = "target"
    task: Task | None = None
    metric: str | None = None
    positive: Scalar = None
    candidates: tuple[Any, ...] | None = None
    budget: Budget = field(default_factory=Budget)
    joblib_backend: str | None = None
    gate: Gate = field(default_factory=Gate)
    schedule: str | None = None
    leave_out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    groups: str | None = None
    time: str | None = None
    hold_out: float = 0.2
    seed: int = 0
    estimator: Trainable | Callable[[int], Trainable] | None = None

    def __post_init__(self) -> None:
        try:
            check_model_name(self.model)
        except BadInput as exc:
            raise RecipeError(str(exc)) from exc
        if self.task is not None and self.task not in METRICS:
            raise RecipeError(f"task={self.task!r}: expected one of {', '.join(METRICS)}")
        if self.metric is not None:
            self._check_metric(self.metric)
        self._check_columns()
        if self.schedule is not None:
            try:
                crontab.from_string(self.schedule)
            except (ParseException, ValueError, TypeError, AttributeError) as exc:
                raise RecipeError(
                    f"schedule={self.schedule!r}: expected a crontab line with five fields, "
                    f"such as '0 4 * * *' ({exc})"
                ) from exc
        if not 0 < self.hold_out < 1:
            raise RecipeError(f"hold_out={self.hold_out!r}: expected a share between 0 and 1, such as 0.2")
        if not callable(self.source):
            raise RecipeError(
                f"source={self.source!r:.60}: expected a function, such as sources.csv('data.csv')"
            )
        if self.estimator is None:
            return
        if not (hasattr(self.estimator, "fit") or callable(self.estimator)):
            raise RecipeError(
                f"estimator={self.estimator!r:.60}: expected an unfitted estimator, or a function of a seed "
                "that returns one"
            )
        if self.candidates is not None:
            raise RecipeError(
                "the recipe has both an estimator, which is fitted as it is, and candidates, which are "
                "searched: remove one of them"
            )

    def _check_metric(self, metric: str) -> None:
        tasks = METRICS if self.task is None else {self.task: METRICS[self.task]}
        if not any(metric in names for names in tasks.values()):
            expected = "; ".join(f"for a {task}, expected one of {', '.join(tasks[task])}" for task in tasks)
            raise RecipeError(f"metric={metric!r}: {expected}")

    def _check_columns(self) -> None:
        for option, names in (("leave_out", self.leave_out), ("keep", self.keep)):
            if isinstance(names, str):
                raise RecipeError(
                    f"{option}={names!r}: expected a tuple of column names, such as ({names!r},)"
                )
        if both := set(self.keep) & {*self.leave_out, self.target, self.groups, self.time}:
            raise RecipeError(
                f"keep has the column {both.pop()!r}, which leave_out, target, groups or time has too: "
                "expected a column that is a feature"
            )
        if self.target in (*self.leave_out, self.groups, self.time):
            raise RecipeError(
                f"the target {self.target!r} is also in leave_out, groups or time: "
                "expected another column there"
            )
        if self.groups is not None and self.groups == self.time:
            raise RecipeError(f"groups and time are both {self.groups!r}: expected two different columns")

    def collect(self, spare: Collection[str] = ()) -> Table:
        """Read all rows and give each column its dtype.

        Args:
            spare: columns to read although the recipe leaves them out, because the champion needs them; see
                :class:`~modelane_training.sources.Table`.

        Raises:
            BadData: a column is missing, or mixes types.
            RecipeError: the source failed, or returned something that is not a table.
        """
        with self.running("source"):
            given = function.read(self.source, self.target)
        if isinstance(given, Table):
            return given.leaving_out(self.leave_out, spare)
        return build_table(given, self, spare)

    def resolve(self, table: Table) -> Resolved:
        """Return the recipe with the task, the metric and the positive class decided for this data.

        Raises:
            RecipeError: the metric belongs to the other task, or the target does not have the positive class.
        """
        task = self.task or infer_task(table.targets)
        metric = self.metric or default_metric(table.targets, task, has_probabilities=self.estimator is None)
        positive = self._positive(table.targets) if task == "classification" else None
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return Resolved(**(given | {"task": task, "metric": metric, "positive": positive}))

    def _positive(self, targets: NDArray[Any]) -> Scalar:
        """Decide the positive class once, from all rows: in a part of them the other class may be rarer."""
        classes = np.unique(targets).tolist()
        if self.positive is None:
            return positive_class(targets)
        if self.positive not in classes or len(classes) != 2:
            raise RecipeError(
                f"positive={self.positive!r}: expected one of two classes, but the classes of the target are "
                + ", ".join(map(repr, classes[:_MAX_LISTED]))
            )
        return self.positive

    def fit(self, training: Table, seed: int) -> Estimator:
        """Fit a new copy of the recipe's own estimator.

        Args:
            training: the training rows.
            seed: for every ``random_state`` that the estimator leaves open.

        Raises:
            RecipeError: the recipe has no estimator, or fitting it failed.
        """
        with self.running("estimator"):
            if self.estimator is None:
                raise RecipeError(f"the recipe of {self.model} has no estimator to fit")
            unfitted = clone(self.estimator) if hasattr(self.estimator, "fit") else self.estimator(seed)
            if isinstance(unfitted, BaseEstimator):
                set_random_state(unfitted, seed)
            unfitted.fit(training.matrix(), training.targets)
            return unfitted

    def running(self, part: str) -> AbstractContextManager[None]:
        """Return a context in which errors of the recipe's own code name this part and the recipe's line.

        Raises:
            RecipeError: the code raised an error of its own.
        """
        return recipe_errors(part, self.model)


@dataclass(frozen=True, kw_only=True)
class Resolved(Recipe):
    """A recipe whose task and metric are decided."""

    task: Task
    metric: str
