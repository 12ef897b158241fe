"""Set rows aside that training never sees.  check → SPLIT → fit, evaluate."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split

from modelane.errors import BadData
from modelane_training.recipe import Resolved
from modelane_training.table import Table


def split(table: Table, recipe: Resolved) -> tuple[Table, Table]:
    """The rows to train on and the hold-out, each class in both by its share.

    The same data and recipe give the same hold-out, so the champion has not been trained on it
    either.  When rows have been added the split is another one: the champion then knows part of the
    hold-out, which favours it, not the candidate.

    Raises:
        BadData: a class is too rare to be in both.
    """
    stratify = table.targets if recipe.task == "classification" else None
    try:
        training, hold_out = train_test_split(
            np.arange(len(table)),
            test_size=recipe.hold_out,
            random_state=recipe.seed,
            stratify=stratify,
        )
    except ValueError as exc:
        raise BadData(f"the data cannot be split: {exc}") from exc
    return table.take(training), table.take(hold_out)
