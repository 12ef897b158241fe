"""What a run passes to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modelane_training.dataset.table import Table
from modelane_training.evaluation.predictions import Predictions
from modelane_training.evaluation.results import Evaluation
from modelane_training.gate import Verdict
from modelane_training.preparation.data_profile import Profile
from modelane_training.recipe import Resolved
from modelane_training.search.search import TrialResult
from modelane_worker.registry.artifact import Estimator


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """A trained candidate, its data, and the results of its evaluation."""

    recipe: Resolved
    version: str
    created: datetime
    seed: int
    table: Table
    training: Table
    hold_out: Table
    estimator: Estimator
    answers: Predictions
    evaluation: Evaluation
    verdict: Verdict
    champion: str | None  #: the version in service before the run
    champion_answers: Predictions | None
    trials: Sequence[TrialResult] = ()
    profile: Profile | None = None  #: of the data, with the findings of its check
