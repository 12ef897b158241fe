"""Split the training rows into the folds that a search is cross-validated on."""

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
Fold = tuple[Index, Index]  #: rows to fit on, rows to score

_N_FOLDS = 5
#: From this many rows on, fewer folds give scores that are as precise.
_MANY_ROWS, _N_FOLDS_OF_MANY = 20_000, 3


def folds(table: Table, task: Task, seed: int) -> list[Fold]:
    """Return the folds.

    Rows of one group are in one fold. With a time column, a fold is fitted on the past and scored on the
    future. Otherwise each fold has the same share of each class.

    Raises:
        BadData: no fold has rows that can be scored.
    """
    made = [fold for fold in _split(table, task, seed) if all(map(len, fold))]
    if task == "classification":
        made = [(train, _with_known_class(table.targets, train, test)) for train, test in made]
        made = [(train, test) for train, test in made if len(np.unique(table.targets[test])) > 1]
    if not made:
        reason = (
            "no two folds have classes in common"
            if task == "classification"
            else "all rows have the same time"
        )
        raise BadData(f"the training rows cannot be cross-validated: {reason}")
    return made


def _split(table: Table, task: Task, seed: int) -> list[Fold]:
    n_folds = _N_FOLDS if len(table) <= _MANY_ROWS else _N_FOLDS_OF_MANY
    rows = np.empty(len(table))  # scikit-learn uses only the length
    classes = table.targets if task == "classification" else rows
    if table.times is not None:
        order = np.argsort(table.times, kind="stable")
        ordered = table.times[order]
        starts = [future[0] for _, future in TimeSeriesSplit(n_folds).split(order)]
        # Rows of the same time stay together, in the later part.
        cuts = [*np.unique(np.searchsorted(ordered, ordered[starts])), len(order)]
        in_time = [(order[:start], order[start:end]) for start, end in pairwise(cuts)]
        return [(_without_groups_of(table.groups, past, future), future) for past, future in in_time]
    if table.groups is not None:
        n_folds = max(2, min(n_folds, len(np.unique(table.groups))))
        kind = StratifiedGroupKFold if task == "classification" else GroupKFold
        return list(kind(n_folds, shuffle=True, random_state=seed).split(rows, classes, table.groups))
    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(n_folds, shuffle=True, random_state=seed).split(rows, classes))


def _without_groups_of(groups: NDArray[Any] | None, past: Index, future: Index) -> Index:
    """Return the rows of the past whose group has no row in the future."""
    return past if groups is None else past[~np.isin(groups[past], groups[future])]


def _with_known_class(targets: NDArray[Any], train: Index, test: Index) -> Index:
    """Return the rows of ``test`` whose class is also in ``train``."""
    return test[np.isin(targets[test], targets[train])]
