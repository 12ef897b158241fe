"""Find the best pipeline within a budget.  split → SEARCH → fit, evaluate.

Optuna proposes (TPE; first what is known to be good), cross-validation judges, and what falls behind the
median after some folds is not judged by the others.  What is proposed depends on the seed and on the trials
that have ended, on nothing else: the same data, seed and number of trials give the same model, on any number
of cores, in one go or resumed in the middle.
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
from optuna.trial import FrozenTrial

from modelane.errors import BrokerUnavailable, TrainingError
from modelane_training.dataset.table import Table
from modelane_training.recipe import Resolved
from modelane_training.search import trials
from modelane_training.search.parallel_fits import Fits
from modelane_training.search.search_plan import Plan
from modelane_training.search.study_store import Alone, Studies, StudyGone
from modelane_worker.registry.artifact import Estimator

Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One trial, for the report."""

    number: int
    candidate: str
    params: dict[str, Any]
    state: str  #: finished; pruned, which is given up for falling behind; too long; failed
    score: float | None  #: mean over the folds that were judged; None if none was
    folds: tuple[float, ...]  #: score of each
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    estimator: Estimator  #: the winner, fitted on all training rows
    candidate: str
    params: dict[str, Any]
    metric: str
    score: float  #: of the winner, mean over the folds
    baseline: float  #: of an estimator that never looks at a row, on the same folds; NaN: it has none
    tried: tuple[Tried, ...]


def search(  # noqa: PLR0913  # what a search touches, by name
    table: Table,
    recipe: Resolved,
    *,
    seed: int,
    progress: Progress,
    studies: Studies | Alone | None = None,
    run_id: str = "search",
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Try candidates until the budget is used up; the best one, fitted on all of ``table``.

    Args:
        table: the training rows; the hold-out is not among them.
        studies: keep the trials; None: in memory.
        run_id: the same for all attempts of a run, and of no other run.

    Raises:
        TrainingError: nothing could be fitted, or not within the budget; the sentence says why.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = Plan(table, recipe, seed)
    for why in plan.left_out:
        progress("search", f"left out: {why}")
    studies = studies or Alone()
    study = trials.open_study(plan, studies.storage(run_id), run_id)
    studies.announce(recipe.model, run_id, recipe.budget.minutes * 60)
    try:
        with Fits(table, recipe) as fits:
            trials.lead(study, plan, fits, progress=progress, clock=clock)
    except StudyGone as exc:
        raise BrokerUnavailable("Redis has lost the trials of this search: run it again") from exc
    studies.withdraw(recipe.model, run_id)
    ended = study.get_trials(states=trials.ENDED)
    best = trials.best_of(ended, plan)
    if best is None:
        within = f"{recipe.budget.trials} trials and {recipe.budget.minutes:g} minutes"
        reason = trials.failures(ended) or "there was no time for one"
        raise TrainingError(f"no candidate could be judged within {within}: {reason}")
    pipeline = plan.pipeline(best)
    progress("fit", f"{best.params['candidate']}, the best of {len(ended)} trials, on {len(table)} rows")
    with warnings.catch_warnings(), parallel_config("threading", n_jobs=-1):
        warnings.simplefilter("ignore")
        pipeline.fit(table.matrix(), table.targets)
    return Found(
        estimator=pipeline,
        candidate=best.params["candidate"],
        params={name: value for name, value in best.params.items() if name != "candidate"},
        metric=recipe.metric,
        score=float(np.mean(best.user_attrs[trials.STORY]["folds"])),
        baseline=plan.baseline(),
        tried=tuple(_tried(trial) for trial in ended),
    )


def _tried(trial: FrozenTrial) -> Tried:
    story = trial.user_attrs[trials.STORY]
    return Tried(
        number=trial.number,
        candidate=trial.params["candidate"],
        params={name: value for name, value in trial.params.items() if name != "candidate"},
        state=story["state"],
        score=float(np.mean(story["folds"])) if story["folds"] else None,
        folds=tuple(story["folds"]),
        seconds=story["seconds"],
        error=story["error"],
    )
