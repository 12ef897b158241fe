"""Split the rows into training rows and a hold-out that training never sees.

Which side a row is on depends only on its content, or its group, and the recipe's seed
(:mod:`~modelane_training.preparation.stable_hash`). So the hold-out stays the same when rows are added, and
the champion was not trained on it either. A column that the recipe leaves out still decides, as long as the
source has it. Rows can move to the other side if a column is added or removed, or if the row itself changes;
where rows change, such as a customer's age, name the customer's id as ``groups``. If the share of the
hold-out is too far from what the recipe requests, as it may be with few rows, as few rows as possible move.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.recipe import Resolved

#: How far the hold-out may be from the requested size: instead of 200 rows, it may have 150 to 250.
TOLERANCE = 0.25

Mask = NDArray[np.bool_]


def split(table: Table, recipe: Resolved) -> tuple[Table, Table]:
    """Return the training rows and the hold-out.

    With ``time``, the latest rows are the hold-out. With ``groups``, no group is on both sides, and a group
    that has a class to itself is trained on. Otherwise each class is on both sides in proportion.

    Raises:
        BadData: there is no such split; the message says why.
    """
    if table.times is not None:
        held = _latest(table.times, recipe.hold_out)
    elif table.groups is not None:
        held = _groups(table, recipe)
    else:
        held = _rows(table, recipe)
    training = ~held
    if table.times is not None and table.groups is not None:
        training &= ~np.isin(table.groups, table.groups[held])
    _check_sides(table, recipe, training, held)
    return table.take(np.flatnonzero(training)), table.take(np.flatnonzero(held))


def _rows(table: Table, recipe: Resolved) -> Mask:
    positions = stable_hash.of_rows(table.with_spare().rows, recipe.seed)
    held = np.zeros(len(table), dtype=bool)
    strata = table.targets if recipe.task == "classification" else np.zeros(len(table))
    for stratum in np.unique(strata):
        index = np.flatnonzero(strata == stratum)
        low, high = _bounds(len(index), recipe.hold_out)
        n_below = int((positions[index] < recipe.hold_out).sum())
        n_held = max(min(max(n_below, low), high, len(index) - 1), 1)
        held[index[np.argsort(positions[index], kind="stable")[:n_held]]] = True
    return held


def _groups(table: Table, recipe: Resolved) -> Mask:
    assert table.groups is not None
    groups, group_of_row, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
    if len(groups) < 2:
        raise BadData(
            f"all rows belong to the same group, {str(groups[0])!r:.40}: "
            "expected at least two groups to split by"
        )
    positions = stable_hash.of_values(groups, recipe.seed)
    low, high = _bounds(len(table), recipe.hold_out)
    free = np.ones(len(groups), dtype=bool)
    if recipe.task == "classification":
        free = ~_indispensable(table.targets, group_of_row, len(groups))
        if not free.any():
            raise BadData(
                "the data cannot be split: each group has a class that no other group has: expected classes "
                "that occur in at least two groups, one to train on and one to evaluate on"
            )
    chosen = np.zeros(len(groups), dtype=bool)
    n_held = 0
    for group in np.argsort(positions, kind="stable"):
        if n_held >= low and positions[group] >= recipe.hold_out:
            break
        if free[group] and n_held + sizes[group] <= high:
            chosen[group] = True
            n_held += int(sizes[group])
    if not chosen.any() or chosen.all():
        chosen[:] = False
        chosen[np.argmin(np.where(free, sizes, len(table) + 1))] = True
    if recipe.task == "classification":
        _share_classes(table.targets, group_of_row, positions, free, chosen)
    return chosen[group_of_row]


def _indispensable(targets: NDArray[Any], group_of_row: NDArray[np.intp], n_groups: int) -> Mask:
    """Return which groups are the only one with some class, which training needs."""
    indispensable = np.zeros(n_groups, dtype=bool)
    for name in np.unique(targets):
        groups = np.unique(group_of_row[targets == name])
        indispensable[groups] |= len(groups) == 1
    return indispensable


def _share_classes(
    targets: NDArray[Any], group_of_row: NDArray[np.intp], positions: NDArray[Any], free: Mask, chosen: Mask
) -> None:
    """Move the nearest group of each class that would be on one side only; changes ``chosen``."""
    groups_of_classes = [np.unique(group_of_row[targets == name]) for name in np.unique(targets)]
    for groups in groups_of_classes:
        if len(groups) < 2 or 0 < chosen[groups].sum() < len(groups):
            continue
        ordered = groups[np.argsort(positions[groups], kind="stable")]
        candidates = ordered[::-1] if chosen[groups].all() else ordered[free[ordered]]
        chosen[candidates[:1]] = ~chosen[candidates[:1]]
    # Moving a group for one class may have taken the last training group of another class.
    while not_trained := [groups for groups in groups_of_classes if chosen[groups].all()]:
        groups = not_trained[0]
        chosen[groups[np.argmax(positions[groups])]] = False


def _latest(times: NDArray[Any], share: float) -> Mask:
    ordered = np.sort(times)
    if ordered[0] == ordered[-1]:
        raise BadData(
            f"the time of every row is {ordered[0]}: expected different times, so that the latest rows can "
            "be the hold-out"
        )
    since = ordered[-max(round(share * len(times)), 1)]
    # Rows with the same time stay together; those with the earliest time can only be trained on.
    held: Mask = times >= since if since > ordered[0] else times > since
    return held


def _bounds(n_rows: int, share: float) -> tuple[int, int]:
    wanted = share * n_rows
    return round(wanted) - int(TOLERANCE * wanted), round(wanted) + int(TOLERANCE * wanted)


def _check_sides(table: Table, recipe: Resolved, training: Mask, held: Mask) -> None:
    if not training.any():
        raise BadData(
            "no row is left to train on: every group has rows among the latest, which are the hold-out; "
            "use a smaller hold_out, or only one of time and groups"
        )
    if not held.any():
        raise BadData(
            "the data cannot be split: each group has the last rows of a class, so none can be the hold-out; "
            "use smaller groups, or collect more rows of the rare classes"
        )
    if recipe.task == "regression":
        return
    trained = np.unique(table.targets[training])
    not_trained = np.flatnonzero(held & ~np.isin(table.targets, trained))
    if len(not_trained):
        name, where = table.targets[not_trained[0]], table.where(not_trained.tolist())
        why = "later than all training rows" if table.times is not None else "in one group"
        raise BadData(
            f"the data cannot be split: class {name} occurs only {why} ({where}), so it would be evaluated "
            "without being trained on; collect more of its rows, or leave them out"
        )
    for side, words in ((training, "training rows"), (held, "rows of the hold-out")):
        if len(classes := np.unique(table.targets[side])) < 2:
            raise BadData(
                f"the data cannot be split: all {words} have class {classes[0]}: expected at least two "
                "classes; collect more rows of the others, or change hold_out"
            )
