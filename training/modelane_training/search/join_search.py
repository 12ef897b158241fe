"""Take trials of another trainer's search, while there is nothing else to do.  HELPING → trials.

Whoever helps reads the recipe and the data itself, and helps only if they are the same: not a byte of what it
runs comes from Redis.
"""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from modelane.errors import TrainingError
from modelane_training.dataset.table import Table
from modelane_training.recipe import Resolved
from modelane_training.search import trials
from modelane_training.search.parallel_fits import Fits
from modelane_training.search.search_plan import Plan
from modelane_training.search.study_store import Studies, StudyGone


def join(
    table: Table,
    recipe: Resolved,
    *,
    studies: Studies,
    run_id: str,
    progress: Callable[[str, str], None] = lambda step, detail: None,
) -> int:
    """Help until no trial is wanted any more; how many were taken.

    Args:
        table: the training rows, as the leader must have them.

    Raises:
        TrainingError: recipe or data are not the leader's, or its search is over.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = trials.join_study(studies.storage(run_id), run_id)
        about = study.user_attrs[trials.PLAN]
    except KeyError as exc:
        raise TrainingError(f"the search of run {run_id} is over, or has not begun") from exc
    plan = Plan(table, recipe, about["seed"])
    if plan.sha256() != about["sha256"]:
        raise TrainingError(f"recipe or data of {recipe.model} differ from those that its search has")
    with Fits(table, recipe) as fits:
        try:
            return trials.help_out(study, plan, fits, progress=progress)
        except (StudyGone, UpdateFinishedTrialError):
            return 0  # its leader did not wait
