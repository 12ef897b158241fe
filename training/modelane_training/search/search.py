"""Search for the best pipeline within a budget, alone or together with idle trainers.

Optuna's TPE sampler proposes trials, after the parameters that are known to work. Cross-validation scores
them, and a trial that falls behind the median after some folds is pruned. Proposals depend only on the seed
and on the trials that have ended. So the same data, seed and number of trials give the same model, on any
number of cores, whether or not the search was interrupted and resumed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from joblib import parallel_config
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial

from modelane.errors import BrokerUnavailable, TrainingError
from modelane_training.dataset.table import Table
from modelane_training.recipe import Resolved
from modelane_training.search import trials
from modelane_training.search.parallel_fits import ParallelFits
from modelane_training.search.search_plan import SearchPlan
from modelane_training.search.study_store import LocalStudyStore, StudyGone, StudyStore
from modelane_training.search.trials import Progress
from modelane_worker.registry.artifact import Estimator


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One trial, for the report."""

    number: int
    candidate: str
    params: dict[str, Any]
    state: str  #: finished, pruned (it fell behind the others), too long, or failed
    score: float | None  #: mean over the folds that were scored; None if none was
    folds: tuple[float, ...]  #: score of each fold
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The best pipeline, and the trials that led to it."""

    estimator: Estimator  #: the best pipeline, fitted on all training rows
    candidate: str
    params: dict[str, Any]
    metric: str
    score: float  #: of the best pipeline, mean over the folds
    baseline: float  #: of a constant prediction on the same folds; NaN if the metric has none
    trials: tuple[TrialResult, ...]


def search(  # noqa: PLR0913  # what a search touches, by name
    table: Table,
    recipe: Resolved,
    *,
    seed: int,
    progress: Progress,
    studies: StudyStore | LocalStudyStore | None = None,
    run_id: str = "search",
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Run trials until the budget is used up, and fit the best pipeline on all of ``table``.

    Args:
        table: the training rows, without the hold-out.
        recipe: with task and metric decided.
        seed: of the run.
        progress: called with the step and its detail.
        studies: stores the trials; None keeps them in memory.
        run_id: the same for all attempts of one run, and unique to the run.
        clock: returns seconds.

    Raises:
        TrainingError: no candidate could be fitted within the budget.
        BrokerUnavailable: Redis has lost the trials, or did not answer for too long.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = SearchPlan(table, recipe, seed)
    for reason in plan.left_out:
        progress("search", f"not tried: {reason}")
    studies = studies or LocalStudyStore()
    study = trials.open_study(plan, studies.storage(run_id), run_id)
    studies.announce(recipe.model, run_id, recipe.budget.minutes * 60)
    try:
        with ParallelFits(table, recipe) as fits:
            trials.lead(study, plan, fits, progress=progress, clock=clock)
    except StudyGone as exc:
        raise BrokerUnavailable("Redis has lost the trials of this search: retry the run") from exc
    studies.withdraw(recipe.model, run_id)
    ended = study.get_trials(states=trials.ENDED)
    best = trials.best_of(ended, plan)
    if best is None:
        budget = f"{recipe.budget.trials} trials and {recipe.budget.minutes:g} minutes"
        reason = trials.failures(ended) or "no trial had enough time, raise the budget's minutes"
        raise TrainingError(f"no candidate could be scored within {budget}: {reason}")
    pipeline = plan.pipeline(best)
    progress("fit", f"{best.params['candidate']}, the best of {len(ended)} trials, on {len(table)} rows")
    with warnings.catch_warnings(), parallel_config("threading", n_jobs=-1):
        warnings.simplefilter("ignore")
        pipeline.fit(table.matrix(), table.targets)
    return SearchResult(
        estimator=pipeline,
        candidate=best.params["candidate"],
        params={name: value for name, value in best.params.items() if name != "candidate"},
        metric=recipe.metric,
        score=float(np.mean(best.user_attrs[trials.STORY]["folds"])),
        baseline=plan.baseline(),
        trials=tuple(_result(trial) for trial in ended),
    )


def join_search(
    table: Table,
    recipe: Resolved,
    *,
    studies: StudyStore,
    run_id: str,
    progress: Progress = lambda step, detail: None,
) -> int:
    """Take trials of another trainer's search until none is left, and return how many.

    This trainer reads the recipe and the data itself, and joins only if both are the same: it executes
    nothing that comes from Redis.

    Args:
        table: the training rows.
        recipe: with task and metric decided.
        studies: stores the trials.
        run_id: of the run that the search belongs to.
        progress: called with the step and its detail.

    Raises:
        TrainingError: the search has ended, or its recipe or data differ.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = trials.join_study(studies.storage(run_id), run_id)
        described = study.user_attrs[trials.PLAN]
    except KeyError as exc:
        raise TrainingError(f"the search of run {run_id} has ended, or has not started") from exc
    plan = SearchPlan(table, recipe, described["seed"])
    if plan.sha256() != described["sha256"]:
        raise TrainingError(
            f"the recipe or the data of {recipe.model} differ from those of the search of run {run_id}: "
            "trainers that share a search need the same recipes and data"
        )
    with ParallelFits(table, recipe) as fits:
        try:
            return trials.help_out(study, plan, fits, progress=progress)
        except (StudyGone, UpdateFinishedTrialError):
            return 0  # the search has ended without waiting for this trial


def _result(trial: FrozenTrial) -> TrialResult:
    story = trial.user_attrs[trials.STORY]
    return TrialResult(
        number=trial.number,
        candidate=trial.params["candidate"],
        params={name: value for name, value in trial.params.items() if name != "candidate"},
        state=story["state"],
        score=float(np.mean(story["folds"])) if story["folds"] else None,
        folds=tuple(story["folds"]),
        seconds=story["seconds"],
        error=story["error"],
    )
