"""The trials of a search: propose, judge fold by fold, tell.  plan, fits → TRIALS → search."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from modelane_training.fits import FitFailed, Fits, Score, TooLong
from modelane_training.plan import Plan

#: States of trials that count against the budget; Optuna's FAIL is for those lost with their trainer.
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
#: Where a trial keeps what happened to it.
STORY = "story"

#: One trial gets this share of the minutes at most, so that a slow fit does not take them all.
_MAX_SHARE = 0.25
#: Trials that end before any is given up for being worse than the median.
_N_BEFORE_PRUNING = 8
#: Fitting on all rows takes so much longer than on those of a fold, with some reserve.
_REFIT = 1.5


def open_study(plan: Plan, storage: BaseStorage, name: str) -> Study:
    """A new study with its first trials waiting, or the one that an earlier attempt left."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize" if plan.less_is_better else "maximize",
        pruner=MedianPruner(n_startup_trials=_N_BEFORE_PRUNING),
        load_if_exists=True,
    )
    for params in plan.first()[: plan.recipe.budget.trials]:
        study.enqueue_trial(params, skip_if_exists=True)
    return study


def run(
    study: Study,
    plan: Plan,
    fits: Fits,
    *,
    progress: Callable[[str, str], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Try until the budget is used up; trials and minutes of earlier attempts count."""
    budget = plan.recipe.budget
    until_s = clock() + budget.minutes * 60 - _spent_s(study)
    while len(ended := study.get_trials(deepcopy=False, states=ENDED)) < budget.trials:
        progress("search", _so_far(ended, plan, until_s - clock()))
        fits.ready()
        left_s = until_s - clock() - _REFIT * _fold_s(best_of(ended, plan))
        if left_s <= 0:
            break
        _one(study, plan, fits, limit_s=min(left_s, _MAX_SHARE * budget.minutes * 60), clock=clock)
    progress("search", _so_far(ended, plan, until_s - clock()))


def best_of(ended: list[FrozenTrial], plan: Plan) -> FrozenTrial | None:
    """Of those that were judged by most folds, the best; of equals the first."""
    judged = [trial for trial in ended if trial.intermediate_values]
    sign = -1 if plan.less_is_better else 1

    def merit(trial: FrozenTrial) -> tuple[int, float, int]:
        n_folds = len(trial.intermediate_values)
        return n_folds, sign * trial.intermediate_values[n_folds - 1], -trial.number

    return max(judged, key=merit, default=None)


def failures(ended: list[FrozenTrial]) -> str:
    """Why no trial was judged, each reason once."""
    reasons = {
        f"{trial.params.get('candidate', '?')}: {story['error'] or story['state']}": None
        for trial in ended
        if (story := trial.user_attrs[STORY])["state"] != "finished"
    }
    return "; ".join(reasons)


def _one(study: Study, plan: Plan, fits: Fits, *, limit_s: float, clock: Callable[[], float]) -> None:
    until_s = (started_s := clock()) + limit_s
    trial = _ask(study, plan)
    story: dict[str, Any] = {"state": "finished", "folds": [], "fold_s": 0.0, "error": ""}
    try:
        pipeline = plan.pipeline(trial)
        if (same := _same(study, trial)) is None:
            scores = _scores(pipeline, plan, fits, until_s, clock)
        else:
            story |= {"state": same["state"], "error": same["error"]}
            scores = (Score(value, same["fold_s"]) for value in same["folds"])
        for score in scores:
            story["folds"].append(score.value)
            story["fold_s"] = round(max(story["fold_s"], score.seconds), 3)
            trial.report(float(np.mean(story["folds"])), len(story["folds"]) - 1)
            if trial.should_prune():
                story["state"] = "pruned"
                break
    except optuna.TrialPruned as exc:  # a recipe's candidate knows that its parameters do not go together
        story |= {"state": "pruned", "error": str(exc)}
    except TooLong:
        story["state"] = "too long"
    except FitFailed as exc:
        story |= {"state": "failed", "error": str(exc)}
    story["seconds"] = round(clock() - started_s, 3)
    trial.set_user_attr(STORY, story)
    if story["state"] == "finished":
        study.tell(trial, float(np.mean(story["folds"])))
    else:  # Optuna learns from trials that were pruned, not from failed ones
        study.tell(trial, state=TrialState.PRUNED)


def _scores(
    pipeline: Any, plan: Plan, fits: Fits, until_s: float, clock: Callable[[], float]
) -> Iterator[Score]:
    """The score of each fold, as many at once as there are processes."""
    for first in range(0, len(plan.folds), fits.n_jobs):
        some = plan.folds[first : first + fits.n_jobs]
        yield from fits.scores(pipeline, some, until_s - clock())


def _ask(study: Study, plan: Plan) -> Trial:
    # By the trials that there are, not by a generator's state, which would be lost with its process.
    there = (*ENDED, TrialState.RUNNING)
    seed = (plan.seed + len(study.get_trials(deepcopy=False, states=there))) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Parameters of one candidate are proposed together, each candidate's apart from the others'.
        study.sampler = TPESampler(seed=seed, group=True, multivariate=True, n_startup_trials=1)
    return study.ask()


def _same(study: Study, trial: Trial) -> dict[str, Any] | None:
    """What happened to an earlier trial with these parameters."""
    earlier = (each for each in study.get_trials(deepcopy=False, states=ENDED) if each.params == trial.params)
    return next((each.user_attrs[STORY] for each in earlier), None)


def _spent_s(study: Study) -> float:
    return float(sum(trial.user_attrs[STORY]["seconds"] for trial in study.get_trials(states=ENDED)))


def _fold_s(trial: FrozenTrial | None) -> float:
    """Seconds that the longest of its folds took."""
    return 0.0 if trial is None else float(trial.user_attrs[STORY]["fold_s"])


def _so_far(ended: list[FrozenTrial], plan: Plan, left_s: float) -> str:
    said = f"trial {len(ended)}/{plan.recipe.budget.trials}"
    if (best := best_of(ended, plan)) is not None:
        value = best.intermediate_values[len(best.intermediate_values) - 1]
        said += f", best {plan.recipe.metric} {value:.4f} ({best.params['candidate']})"
    return f"{said}, {max(left_s, 0) / 60:.1f} min left"
