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

from modelane_training.search.parallel_fits import FitFailed, Fits, Score, TooLong
from modelane_training.search.search_plan import Plan

#: States of trials that count against the budget; Optuna's FAIL is for those lost with their trainer.
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
#: Where a trial keeps what happened to it.
STORY = "story"
#: Where a study says what it is about, and that no trial is wanted any more.
PLAN, OVER = "plan", "over"
#: Where a trial says who runs it: a lost leader's is begun again, a helper's is not.
BY, LEADER, HELPER = "by", "leader", "helper"
#: Seconds that a helper may need besides its trial: to start its processes; and between two looks at it.
_HELPERS_LAG_S, _LOOK_S = 15.0, 0.2

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
        pruner=_pruner(),
        load_if_exists=True,
    )
    study.set_user_attr(PLAN, {"seed": plan.seed, "sha256": plan.sha256()})
    for params in plan.first()[: plan.recipe.budget.trials]:
        study.enqueue_trial(params, skip_if_exists=True)
    # The trial that an earlier leader was lost with is the next one; helpers go on with theirs.
    for trial in _running(study):
        if trial.user_attrs.get(BY) != HELPER:
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return study


def join_study(storage: BaseStorage, name: str) -> Study:
    """Somebody else's study.

    Raises:
        KeyError: there is none.
    """
    return optuna.load_study(study_name=name, storage=storage, pruner=_pruner())


def _pruner() -> MedianPruner:
    return MedianPruner(n_startup_trials=_N_BEFORE_PRUNING)


def lead(  # noqa: PLR0913  # clocks are arguments
    study: Study,
    plan: Plan,
    fits: Fits,
    *,
    progress: Callable[[str, str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Lead a search until its budget is used up; trials and minutes of earlier attempts count."""
    study.set_user_attr(OVER, False)
    fits.ready()  # before the minutes begin: its seconds say nothing of the machine's fits
    budget = plan.recipe.budget
    until_s = clock() + budget.minutes * 60 - _spent_s(study)
    while len(ended := study.get_trials(deepcopy=False, states=ENDED)) < budget.trials:
        left_s = until_s - clock()
        progress("search", _so_far(ended, plan, left_s))
        if len(ended) + len(_running(study)) >= budget.trials:
            if not _others_end(study, plan, ended, left_s, sleep):
                _give_up(study)
            continue
        fits.ready()
        left_s = until_s - clock() - _REFIT * _fold_s(best_of(ended, plan))
        if left_s <= 0:
            break
        _one(study, plan, fits, limit_s=min(left_s, _MAX_SHARE * budget.minutes * 60), clock=clock, by=LEADER)
    study.set_user_attr(OVER, True)
    progress("search", _so_far(ended, plan, until_s - clock()))


def help_out(study: Study, plan: Plan, fits: Fits, *, progress: Callable[[str, str], None]) -> int:
    """Take trials of somebody else's search until none is left; how many it were."""
    budget = plan.recipe.budget
    for n_done in range(budget.trials):
        ended = study.get_trials(deepcopy=False, states=ENDED)
        if study.user_attrs.get(OVER) or len(ended) + len(_running(study)) >= budget.trials:
            return n_done
        progress("help", f"trial {len(ended) + 1}/{budget.trials}")
        fits.ready()
        _one(study, plan, fits, limit_s=_MAX_SHARE * budget.minutes * 60, clock=time.monotonic, by=HELPER)
    return budget.trials


def _others_end(
    study: Study, plan: Plan, ended: list[FrozenTrial], left_s: float, sleep: Callable[[float], None]
) -> bool:
    """Wait for helpers' last trials, as long as the slowest took twice; whether one of them ended."""
    slowest_s = max((trial.user_attrs[STORY]["seconds"] for trial in ended), default=0.0)
    for _ in range(int(min(left_s, 2 * slowest_s + _HELPERS_LAG_S) / _LOOK_S)):
        sleep(_LOOK_S)
        if len(study.get_trials(deepcopy=False, states=ENDED)) > len(ended):
            return True
    return False


def _give_up(study: Study) -> None:
    """Let trials be whose helpers were lost, and try them anew."""
    for trial in _running(study):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


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


def _one(  # noqa: PLR0913  # what a trial touches, by name
    study: Study, plan: Plan, fits: Fits, *, limit_s: float, clock: Callable[[], float], by: str
) -> None:
    until_s = (started_s := clock()) + limit_s
    trial = _ask(study, plan)
    if len(study.get_trials(deepcopy=False, states=(*ENDED, TrialState.RUNNING))) > plan.recipe.budget.trials:
        study.tell(trial, state=TrialState.FAIL)  # another trainer took the last one meanwhile
        return
    trial.set_user_attr(BY, by)
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
    led = (trial for trial in study.get_trials(states=ENDED) if trial.user_attrs[BY] == LEADER)
    return float(sum(trial.user_attrs[STORY]["seconds"] for trial in led))


def _fold_s(trial: FrozenTrial | None) -> float:
    """Seconds that the longest of its folds took."""
    return 0.0 if trial is None else float(trial.user_attrs[STORY]["fold_s"])


def _so_far(ended: list[FrozenTrial], plan: Plan, left_s: float) -> str:
    said = f"trial {len(ended)}/{plan.recipe.budget.trials}"
    if (best := best_of(ended, plan)) is not None:
        value = best.intermediate_values[len(best.intermediate_values) - 1]
        said += f", best {plan.recipe.metric} {value:.4f} ({best.params['candidate']})"
    return f"{said}, {max(left_s, 0) / 60:.1f} min left"
