"""Parts of the training rows that a search judges by.  split → FOLDS → plan."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_worker.registry.card import Task

Index = NDArray[np.intp]
Fold = tuple[Index, Index]  #: rows to fit on, rows to judge by

_N_FOLDS = 5
#: With so many rows, few folds say as much, in less time.
_MANY_ROWS, _N_FOLDS_OF_MANY = 20_000, 3


def folds(table: Table, task: Task, seed: int) -> list[Fold]:
    """Folds that keep groups together, or the past before the future, and else each class by its share.

    Raises:
        BadData: no fold has rows to judge by.
    """
    made = [fold for fold in _split(table, task, seed) if all(map(len, fold))]
    if task == "classification":
        made = [(train, _known(table.targets, train, test)) for train, test in made]
        made = [(train, test) for train, test in made if len(np.unique(table.targets[test])) > 1]
    if not made:
        why = (
            "no part has classes that another has, too"
            if task == "classification"
            else "all are of one moment"
        )
        raise BadData(f"the training rows cannot be cross-validated: {why}")
    return made


def _split(table: Table, task: Task, seed: int) -> list[Fold]:
    n_folds = _N_FOLDS if len(table) <= _MANY_ROWS else _N_FOLDS_OF_MANY
    anything = np.empty(len(table))
    classes = table.targets if task == "classification" else anything
    if table.times is not None:
        order = np.argsort(table.times, kind="stable")
        ordered = table.times[order]
        begins = [future[0] for _, future in TimeSeriesSplit(n_folds).split(order)]
        # Rows of one moment stay together, with what comes later.
        cuts = [*np.unique(np.searchsorted(ordered, ordered[begins])), len(order)]
        in_time = [(order[:begin], order[begin:end]) for begin, end in pairwise(cuts)]
        return [(_apart(table.groups, past, future), future) for past, future in in_time]
    if table.groups is not None:
        n_folds = max(2, min(n_folds, len(np.unique(table.groups))))
        kind = StratifiedGroupKFold if task == "classification" else GroupKFold
        return list(kind(n_folds, shuffle=True, random_state=seed).split(anything, classes, table.groups))
    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(n_folds, shuffle=True, random_state=seed).split(anything, classes))


def _apart(groups: NDArray[Any] | None, past: Index, future: Index) -> Index:
    """Rows of the past whose group has none in the future."""
    return past if groups is None else past[~np.isin(groups[past], groups[future])]


def _known(targets: NDArray[Any], train: Index, test: Index) -> Index:
    """Rows to judge by, of a class that there were rows to learn from."""
    return test[np.isin(targets[test], targets[train])]
