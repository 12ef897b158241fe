"""What a search chooses from: an estimator's name, how one is made, what it needs.  recipe → CANDIDATE."""

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
    """An estimator that a search tries, and the features that are made for it.

    Name parameters after the candidate, so that two candidates never share one:

        Candidate(name="tree", build=lambda trial: DecisionTreeClassifier(
            max_depth=trial.suggest_int("tree.max_depth", 2, 12)))

    Every ``random_state`` that is left at None is set from the run's seed.

    Raises:
        RecipeError: the name is none.
    """

    name: str  #: small letters, digits, hyphens
    build: Callable[[BaseTrial], Any]  #: an unfitted estimator, with parameters that it asks the trial for
    features: bool = True  #: False: it takes the rows as they are, text and missing values included
    scale: bool = True  #: numbers come with mean 0 and variance 1
    dense: bool = True  #: False: a sparse matrix may come where there is text
    native: bool = False  #: True: categories may come as whole numbers, in the first columns, NaN if unknown
    missing: bool = False  #: True: missing numbers come as NaN; else they are filled, and marked
    max_rows: int | None = None  #: with more training rows than this it is not tried: it would take too long
    min_class_rows: int = 1  #: with fewer rows of any class to be fitted on it is not tried: it would fail
    first: tuple[Mapping[str, Any], ...] = ({},)  #: parameters known to be good, tried before any other

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RecipeError(
                f"candidate {self.name!r}: expected small letters, digits and -, starting with a letter"
            )
        if not callable(self.build):
            raise RecipeError(f"candidate {self.name}: build is no function of a trial")

    def unfit(self, n_rows: int, n_rarest: int) -> str:
        """Why it is not tried on so many rows, of which the rarest class has so many; empty if it is."""
        if self.max_rows is not None and n_rows > self.max_rows:
            return f"{self.name} takes {self.max_rows:,} rows at most"
        if n_rarest < self.min_class_rows:
            return f"{self.name} needs {self.min_class_rows} rows of each class to fit on, one has {n_rarest}"
        return ""


def of_estimator(estimator: BaseEstimator) -> Candidate:
    """An estimator of one's own, tried once as it is; a pipeline makes its features itself."""
    return Candidate(
        name=re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(estimator).__name__.strip("_")).lower(),
        build=lambda trial: clone(estimator),
        features=not isinstance(estimator, Pipeline),
    )
