"""Set rows aside that training never sees.  check → SPLIT → features, search, evaluate.

What stands where decides a row's content, or its group, and the recipe's seed (:mod:`positions`), so
that the hold-out stays what it was when rows are added: the champion has not been trained on it
either.  A column that is left out goes on deciding, as long as the source has it.  Two things move rows
to the other side: a column more, or one that is gone, and a row that changes; where rows change (a
customer's age), name their id as ``groups``.  A share that comes out too far from what
the recipe asks for, as of few rows it may, is corrected by the fewest rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.recipe import Resolved

#: How far the rows held out may be from their share: of 200 that should be, 150 to 250 may be.
TOLERANCE = 0.25

Mask = NDArray[np.bool_]


def split(table: Table, recipe: Resolved) -> tuple[Table, Table]:
    """The rows to train on and the hold-out.

    By time, the latest rows are held out; by groups, none stands on both sides, and one that has a class
    to itself is trained on; else each class is on both sides by its share.

    Raises:
        BadData: there is no such split; the sentence says why.
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
    places = stable_hash.of_rows(table.with_spare().rows, recipe.seed)
    held = np.zeros(len(table), dtype=bool)
    strata = table.targets if recipe.task == "classification" else np.zeros(len(table))
    for stratum in np.unique(strata):
        index = np.flatnonzero(strata == stratum)
        low, high = _bounds(len(index), recipe.hold_out)
        below = int((places[index] < recipe.hold_out).sum())
        number = max(min(max(below, low), high, len(index) - 1), 1)
        held[index[np.argsort(places[index], kind="stable")[:number]]] = True
    return held


def _groups(table: Table, recipe: Resolved) -> Mask:
    assert table.groups is not None
    groups, of_row, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
    if len(groups) < 2:
        raise BadData(f"every row is of one group: column {recipe.groups!r} cannot say where to split")
    places = stable_hash.of_values(groups, recipe.seed)
    low, high = _bounds(len(table), recipe.hold_out)
    free = np.ones(len(groups), dtype=bool)
    if recipe.task == "classification":
        free = ~_indispensable(table.targets, of_row, len(groups))
        if not free.any():
            raise BadData(
                f"the data cannot be split: each group of column {recipe.groups!r} has a class that no other "
                "has, which would be judged without having been learnt, or learnt without being judged"
            )
    chosen = np.zeros(len(groups), dtype=bool)
    n_held = 0
    for group in np.argsort(places, kind="stable"):
        if n_held >= low and places[group] >= recipe.hold_out:
            break
        if free[group] and n_held + sizes[group] <= high:
            chosen[group] = True
            n_held += int(sizes[group])
    if not chosen.any() or chosen.all():
        chosen[:] = False
        chosen[np.argmin(np.where(free, sizes, len(table) + 1))] = True
    if recipe.task == "classification":
        _share_classes(table.targets, of_row, places, free, chosen)
    return chosen[of_row]


def _indispensable(targets: NDArray[Any], of_row: NDArray[np.intp], n_groups: int) -> Mask:
    """Groups that have a class to themselves: held out, it would not be learnt."""
    alone = np.zeros(n_groups, dtype=bool)
    for name in np.unique(targets):
        having = np.unique(of_row[targets == name])
        alone[having] |= len(having) == 1
    return alone


def _share_classes(
    targets: NDArray[Any], of_row: NDArray[np.intp], places: NDArray[Any], free: Mask, chosen: Mask
) -> None:
    """Move the nearest group across for each class that would be on one side alone."""
    groups_of = [np.unique(of_row[targets == name]) for name in np.unique(targets)]
    for having in groups_of:
        if len(having) < 2 or 0 < chosen[having].sum() < len(having):
            continue
        ordered = having[np.argsort(places[having], kind="stable")]
        movers = ordered[::-1] if chosen[having].all() else ordered[free[ordered]]
        chosen[movers[:1]] = ~chosen[movers[:1]]
    # What one class needed may have taken another one's last group.
    while lost := [having for having in groups_of if chosen[having].all()]:
        chosen[lost[0][np.argmax(places[lost[0]])]] = False


def _latest(times: NDArray[Any], share: float) -> Mask:
    ordered = np.sort(times)
    if ordered[0] == ordered[-1]:
        raise BadData(f"every row has the time {ordered[0]}; there are no later ones to hold out")
    since = ordered[-max(round(share * len(times)), 1)]
    # Rows of one moment stay together; at the very beginning they can only be trained on.
    held: Mask = times >= since if since > ordered[0] else times > since
    return held


def _bounds(n_rows: int, share: float) -> tuple[int, int]:
    wanted = share * n_rows
    return round(wanted) - int(TOLERANCE * wanted), round(wanted) + int(TOLERANCE * wanted)


def _check_sides(table: Table, recipe: Resolved, training: Mask, held: Mask) -> None:
    if not training.any():
        raise BadData("no row is left to train on: every group has rows among the latest, which are held out")
    if not held.any():
        raise BadData("the data cannot be split: no group can be held out without taking a class along")
    if recipe.task == "regression":
        return
    known = np.unique(table.targets[training])
    unknown = np.flatnonzero(held & ~np.isin(table.targets, known))
    by = "later" if table.times is not None else "in one group"
    if len(unknown):
        name = table.targets[unknown[0]]
        raise BadData(
            f"the data cannot be split: class {name} is only {by} ({table.where(unknown.tolist())}), "
            "so it would be judged without having been learnt"
        )
    if len(known) < 2:
        raise BadData(f"the data cannot be split: all rows to train on are of class {known[0]}")
    if len(found := np.unique(table.targets[held])) < 2:
        raise BadData(f"the data cannot be split: all rows held out are of class {found[0]}")
