"""The trials of a search: propose parameters, score them fold by fold, and record the result.

Called by :mod:`modelane_training.search.search`, in the process that leads a search and in those that help
it.
"""

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

from modelane_training.search.parallel_fits import FitFailed, FitTimeout, ParallelFits, Score
from modelane_training.search.search_plan import SearchPlan

#: Called for each step with its name and a short description. An exception that it raises ends the run.
Progress = Callable[[str, str], None]

#: States of trials that count against the budget. FAIL is for trials that were lost with their trainer.
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
#: Attribute of a trial: its state, scores, duration and error.
STORY = "story"
#: Attributes of a study: a description of its plan, and whether no further trial is needed.
PLAN, OVER = "plan", "over"
#: Attribute of a trial: who runs it. A trial of a lost leader is repeated by the next one, a helper's is not.
BY, LEADER, HELPER = "by", "leader", "helper"
#: Seconds that a helper may need in addition to its trial, to start its processes.
_HELPER_START_S = 15.0
#: Seconds between two checks whether a helper's trial has ended.
_CHECK_S = 0.2

#: Maximum share of the budget's minutes that one trial may take.
_MAX_SHARE = 0.25
#: Trials that end before any trial is pruned for being worse than the median.
_N_BEFORE_PRUNING = 8
#: Expected duration of the fit on all rows, as a multiple of a fit on one fold, with a margin.
_REFIT = 1.5


def open_study(plan: SearchPlan, storage: BaseStorage, name: str) -> Study:
    """Create a study with its first trials enqueued, or open the one that an earlier attempt has left."""
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
    # Repeat the trial that an earlier leader was lost with. Helpers continue with theirs.
    for trial in _running(study):
        if trial.user_attrs.get(BY) != HELPER:
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return study


def join_study(storage: BaseStorage, name: str) -> Study:
    """Open the study of another trainer.

    Raises:
        KeyError: the study does not exist.
    """
    return optuna.load_study(study_name=name, storage=storage, pruner=_pruner())


def _pruner() -> MedianPruner:
    return MedianPruner(n_startup_trials=_N_BEFORE_PRUNING)


def lead(  # noqa: PLR0913  # clocks are arguments
    study: Study,
    plan: SearchPlan,
    fits: ParallelFits,
    *,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run trials until the budget is used up. Trials and minutes of earlier attempts count."""
    study.set_user_attr(OVER, False)
    fits.ready()  # the start of the processes does not count as time of the search
    budget = plan.recipe.budget
    until_s = clock() + budget.minutes * 60 - _spent_s(study)
    while len(ended := study.get_trials(deepcopy=False, states=ENDED)) < budget.trials:
        left_s = until_s - clock()
        progress("search", _summary(ended, plan, left_s))
        if len(ended) + len(_running(study)) >= budget.trials:
            if not _wait_for_helpers(study, plan, ended, left_s, sleep):
                _abandon_running(study)
            continue
        fits.ready()
        left_s = until_s - clock() - _REFIT * _fold_s(best_of(ended, plan))
        if left_s <= 0:
            break
        limit_s = min(left_s, _MAX_SHARE * budget.minutes * 60)
        _run_trial(study, plan, fits, limit_s=limit_s, clock=clock, by=LEADER)
    study.set_user_attr(OVER, True)
    progress("search", _summary(ended, plan, until_s - clock()))


def help_out(study: Study, plan: SearchPlan, fits: ParallelFits, *, progress: Progress) -> int:
    """Take trials of another trainer's search until none is left, and return how many."""
    budget = plan.recipe.budget
    for n_done in range(budget.trials):
        ended = study.get_trials(deepcopy=False, states=ENDED)
        if study.user_attrs.get(OVER) or len(ended) + len(_running(study)) >= budget.trials:
            return n_done
        progress("help", f"trial {len(ended) + 1}/{budget.trials}")
        fits.ready()
        limit_s = _MAX_SHARE * budget.minutes * 60
        _run_trial(study, plan, fits, limit_s=limit_s, clock=time.monotonic, by=HELPER)
    return budget.trials


def _wait_for_helpers(
    study: Study, plan: SearchPlan, ended: list[FrozenTrial], left_s: float, sleep: Callable[[float], None]
) -> bool:
    """Wait twice as long as the slowest trial took. Return whether a helper's trial has ended."""
    slowest_s = max((trial.user_attrs[STORY]["seconds"] for trial in ended), default=0.0)
    for _ in range(int(min(left_s, 2 * slowest_s + _HELPER_START_S) / _CHECK_S)):
        sleep(_CHECK_S)
        if len(study.get_trials(deepcopy=False, states=ENDED)) > len(ended):
            return True
    return False


def _abandon_running(study: Study) -> None:
    """Mark trials whose helpers were lost as failed, and enqueue their parameters again."""
    for trial in _running(study):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def best_of(ended: list[FrozenTrial], plan: SearchPlan) -> FrozenTrial | None:
    """Return the best of the trials that were scored on most folds, and the first one among equals."""
    scored = [trial for trial in ended if trial.intermediate_values]
    sign = -1 if plan.less_is_better else 1

    def rank(trial: FrozenTrial) -> tuple[int, float, int]:
        n_folds = len(trial.intermediate_values)
        return n_folds, sign * trial.intermediate_values[n_folds - 1], -trial.number

    return max(scored, key=rank, default=None)


def failures(ended: list[FrozenTrial]) -> str:
    """Return why trials were not scored, each reason once."""
    reasons = {
        f"{trial.params.get('candidate', '?')}: {story['error'] or story['state']}": None
        for trial in ended
        if (story := trial.user_attrs[STORY])["state"] != "finished"
    }
    return "; ".join(reasons)


def _run_trial(  # noqa: PLR0913  # what a trial touches, by name
    study: Study,
    plan: SearchPlan,
    fits: ParallelFits,
    *,
    limit_s: float,
    clock: Callable[[], float],
    by: str,
) -> None:
    until_s = (started_s := clock()) + limit_s
    trial = _propose(study, plan)
    if len(study.get_trials(deepcopy=False, states=(*ENDED, TrialState.RUNNING))) > plan.recipe.budget.trials:
        study.tell(trial, state=TrialState.FAIL)  # another trainer has taken the last trial
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
    except optuna.TrialPruned as exc:  # a candidate of the recipe rejects the combination of parameters
        story |= {"state": "pruned", "error": str(exc)}
    except FitTimeout:
        story["state"] = "too long"
    except FitFailed as exc:
        story |= {"state": "failed", "error": str(exc)}
    story["seconds"] = round(clock() - started_s, 3)
    trial.set_user_attr(STORY, story)
    if story["state"] == "finished":
        study.tell(trial, float(np.mean(story["folds"])))
    else:  # the sampler learns from pruned trials, and ignores failed ones
        study.tell(trial, state=TrialState.PRUNED)


def _scores(
    pipeline: Any, plan: SearchPlan, fits: ParallelFits, until_s: float, clock: Callable[[], float]
) -> Iterator[Score]:
    """Yield the score of each fold. As many folds are fitted together as there are processes."""
    for first in range(0, len(plan.folds), fits.n_jobs):
        some = plan.folds[first : first + fits.n_jobs]
        yield from fits.scores(pipeline, some, until_s - clock())


def _propose(study: Study, plan: SearchPlan) -> Trial:
    # The seed depends on the number of trials, not on the state of a generator, which would be lost with
    # its process.
    states = (*ENDED, TrialState.RUNNING)
    seed = (plan.seed + len(study.get_trials(deepcopy=False, states=states))) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # The parameters of one candidate are modelled together, and apart from those of other candidates.
        study.sampler = TPESampler(seed=seed, group=True, multivariate=True, n_startup_trials=1)
    return study.ask()


def _same(study: Study, trial: Trial) -> dict[str, Any] | None:
    """Return the record of an earlier trial with the same parameters."""
    earlier = (each for each in study.get_trials(deepcopy=False, states=ENDED) if each.params == trial.params)
    return next((each.user_attrs[STORY] for each in earlier), None)


def _spent_s(study: Study) -> float:
    led = (trial for trial in study.get_trials(states=ENDED) if trial.user_attrs[BY] == LEADER)
    return float(sum(trial.user_attrs[STORY]["seconds"] for trial in led))


def _fold_s(trial: FrozenTrial | None) -> float:
    """Return the seconds that the slowest fold of a trial took."""
    return 0.0 if trial is None else float(trial.user_attrs[STORY]["fold_s"])


def _summary(ended: list[FrozenTrial], plan: SearchPlan, left_s: float) -> str:
    summary = f"trial {len(ended)}/{plan.recipe.budget.trials}"
    if (best := best_of(ended, plan)) is not None:
        value = best.intermediate_values[len(best.intermediate_values) - 1]
        summary += f", best {plan.recipe.metric} {value:.4f} ({best.params['candidate']})"
    return f"{summary}, {max(left_s, 0) / 60:.1f} min left"
