"""What a search chooses from: a name, a function that builds an estimator, and what the estimator needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from modelane.errors import RecipeError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An estimator that a search tries, with its parameters and the features that it needs.

    Prefix parameters with the candidate's name, so that no two candidates share one. Every ``random_state``
    that is None is set from the run's seed. Raise ``optuna.TrialPruned`` in ``build`` for parameters that do
    not fit together.

    Attributes:
        name: 1 to 40 lower-case letters, digits and hyphens, starting with a letter.
        build: a function that asks an Optuna trial for parameters and returns an unfitted estimator.
        features: whether the columns are turned into numbers first; default: True. With False, the estimator
            gets the rows as they are, with strings, dates and missing values.
        scale: whether numbers are scaled, to mean 0 and variance 1 or by their quantiles; default: True.
        dense: whether the estimator needs a dense matrix; default: True. With False, it gets a sparse one if
            there is text.
        native: whether the estimator takes categories as whole numbers, in the first columns, with NaN for an
            unknown one; default: False.
        missing: whether the estimator takes NaN for missing numbers; default: False, and missing numbers are
            replaced by the median and marked in a column of their own.
        max_rows: the candidate is left out if there are more training rows, because it would take too long;
            default: no limit.
        min_class_rows: the candidate is left out if a class has fewer rows to fit on; default: 1.
        first: parameters that are known to be good, tried before others; each a dict as the trial names them;
            default: the sampler chooses.

    Raises:
        RecipeError: the name is not valid, or ``build`` is not a function.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> tree = Candidate(
        ...     name="tree",
        ...     build=lambda trial: DecisionTreeClassifier(
        ...         max_depth=trial.suggest_int("tree.max_depth", 2, 12)
        ...     ),
        ...     scale=False,
        ...     first=({"tree.max_depth": 6},),
        ... )
    """

    name: str
    build: Callable[[BaseTrial], Any]
    features: bool = True
    scale: bool = True
    dense: bool = True
    native: bool = False
    missing: bool = False
    max_rows: int | None = None
    min_class_rows: int = 1
    first: tuple[Mapping[str, Any], ...] = ({},)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RecipeError(
                f"candidate {self.name!r}: expected a name of at most 40 lower-case letters, digits and "
                "hyphens that starts with a letter"
            )
        if not callable(self.build):
            raise RecipeError(
                f"candidate {self.name}: build={self.build!r:.60}: expected a function that takes a trial "
                "and returns an estimator"
            )

    def unfit(self, n_rows: int, n_rarest: int) -> str:
        """Return why the candidate is not tried on this data; empty if it is tried.

        Args:
            n_rows: the number of training rows.
            n_rarest: the rows of the rarest class in the smallest set that the candidate is fitted on.
        """
        if self.max_rows is not None and n_rows > self.max_rows:
            return f"{self.name} takes at most {self.max_rows:,} rows"
        if n_rarest < self.min_class_rows:
            return f"{self.name} needs {self.min_class_rows} rows of each class to fit on, one has {n_rarest}"
        return ""


def of_estimator(estimator: BaseEstimator) -> Candidate:
    """Return a candidate that tries an estimator once, as it is; a pipeline makes its features itself."""
    return Candidate(
        name=re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(estimator).__name__.strip("_")).lower(),
        build=lambda trial: clone(estimator),
        features=not isinstance(estimator, Pipeline),
    )
