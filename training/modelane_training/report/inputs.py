"""What a run hands over for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from modelane_training.dataset.table import Table
from modelane_training.evaluation.predictions import Answers
from modelane_training.evaluation.results import Evaluation
from modelane_training.gate import Verdict
from modelane_training.preparation.data_profile import Profile
from modelane_training.recipe import Resolved
from modelane_worker.registry.artifact import Estimator


class Trial(Protocol):
    """One that a search has made."""

    @property
    def number(self) -> int: ...
    @property
    def candidate(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> str: ...
    @property
    def score(self) -> float | None:
        """By the recipe's metric; None if it was not judged."""

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    recipe: Resolved
    version: str
    created: datetime
    seed: int
    table: Table
    training: Table
    hold_out: Table
    estimator: Estimator
    answers: Answers
    evaluation: Evaluation
    verdict: Verdict
    champion: str | None  #: the version in service before
    champion_answers: Answers | None
    trials: Sequence[Trial] = ()
    profile: Profile | None = None  #: what was found when the data was checked
