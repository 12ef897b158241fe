"""Take out what must not be trained on, refuse what cannot be, and say what was seen.

sources → check → CLEAN → split.  A row is dropped only if it has no target or is there twice; a column
only if it says nothing.  What the version in service takes is what callers send, so its columns stay, and a
new one waits until the recipe takes it in: no model is published that refuses its callers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_training.dataset.build_table import narrowed
from modelane_training.dataset.column_kinds import is_row_number, kind_of
from modelane_training.dataset.row_locations import counted
from modelane_training.dataset.table import Table
from modelane_training.preparation import label_noise, stable_hash
from modelane_training.preparation.data_profile import Profile
from modelane_training.preparation.finding import Dropped, Finding
from modelane_training.preparation.validation import check, check_form, check_leaks
from modelane_training.recipe import Recipe, Resolved
from modelane_worker.registry.card import Task

#: Rows without a target, beyond which something is wrong with the data and not with a row.
MAX_WITHOUT_TARGET = 0.2

#: Equal rows are taken for the same row read twice if so many pairs would be there by chance at most.
MAX_CHANCE_PAIRS = 1.0

#: A class with a smaller share is said to be rare, a column with a larger one to be mostly missing.
RARE, MOSTLY_MISSING = 0.05, 0.5

_WORDS = {ColumnType.NUMBER: "numbers", ColumnType.STRING: "text", ColumnType.DATE: "dates"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    table: Table
    recipe: Resolved  #: with task and metric decided by what is left
    findings: tuple[Finding, ...]
    dropped: Dropped
    left_out: dict[str, str]  #: columns that say nothing, each with the reason


def clean(table: Table, recipe: Recipe, before: Profile | None = None) -> Cleaned:
    """What is left to train on, and what there is to say about it.

    Args:
        before: the profile of the version in service.

    Raises:
        BadData: the data cannot be trained on; the sentence names rows and columns.
        RecipeError: the recipe's metric is not one of the task that the target has.
    """
    findings = [Finding("source", note) for note in table.notes]
    check_form(table)
    n_rows = len(table)
    table = with_targets(table)
    without_target = n_rows - len(table)
    if without_target:
        findings.append(Finding("no target", f"{counted(without_target)} without a target dropped"))
    resolved = recipe.resolve(table)
    table = _in_the_types_of(before, table, resolved)
    n_rows = len(table)
    table, repeated = _once(table)
    findings += repeated
    table, left_out = _telling(table, resolved, before)
    findings += [Finding("left out", f"column {c!r} {why}: left out", c) for c, why in left_out.items()]
    check(table, resolved.task)
    suspects = check_leaks(table, resolved.task, recipe.keep)
    findings += [Finding("leak", f"{leak.words(resolved.task)}", leak.column) for leak in suspects]
    findings += _about_columns(table)
    findings += _new_columns(table, before)
    findings += _about_targets(table, resolved.task)
    findings += label_noise.find(table, resolved.task)
    return Cleaned(
        table=table,
        recipe=resolved,
        findings=tuple(findings),
        dropped=Dropped(without_target=without_target, duplicates=n_rows - len(table)),
        left_out=left_out,
    )


def with_targets(table: Table) -> Table:
    """Without the rows that have no target.

    Raises:
        BadData: they are too many.
    """
    missing = np.flatnonzero(pd.isna(table.targets))
    if len(missing) > MAX_WITHOUT_TARGET * len(table):
        raise BadData(
            f"{len(missing):,} of {len(table):,} rows have no target ({table.where(missing)}): "
            "give a source that leaves them out, if that is meant"
        )
    if len(missing):
        table = table.take(np.flatnonzero(~pd.isna(table.targets)))
    if table.targets.dtype.kind in "fO" and len(missing):
        table = replace(table, targets=narrowed(table.targets))
    return table if table.targets.dtype != object else replace(table, targets=table.targets.astype(np.str_))


def without_meaning(values: pd.Series[Any]) -> str:
    """Why a column says nothing; empty if it says something."""
    if values.isna().all():
        return "has no value at all"
    return "has one value in all rows" if values.nunique(dropna=False) == 1 else ""


def _in_the_types_of(before: Profile | None, table: Table, recipe: Recipe) -> Table:
    """The table, if callers of the version in service can go on sending what they send, in their order."""
    if before is None:
        return table
    here = {feature.name: feature for feature in table.features}
    empty = []
    for column in before.columns:
        name = column.name
        if name in recipe.keep or name in recipe.leave_out or name in (recipe.groups, recipe.time):
            continue
        if name not in here:
            raise BadData(
                f"there is no column {name!r}, which the version in service takes; "
                f"if that is meant, say so: leave_out=({name!r},)"
            )
        if here[name].dtype == column.dtype:
            continue
        if not table.rows[name].isna().all():
            raise BadData(
                f"column {name!r} holds {_WORDS[here[name].type]}, the version in service takes "
                f"{_WORDS[ColumnType.named(column.dtype)]}; if that is meant, say so: keep=({name!r},)"
            )
        empty.append(Feature(name, column.dtype))
    table = table.retyped(empty) if empty else table
    taken = [column.name for column in before.columns if column.name in here]
    return table.only([*taken, *(name for name in table.names if name not in taken)])


def _once(table: Table) -> tuple[Table, list[Finding]]:
    """Without rows that are there twice, unless equal rows are what such columns give by chance."""
    keys = pd.DataFrame({"row": stable_hash.hashes_of_rows(table.rows), "target": table.targets})
    if table.groups is not None:
        keys["group"] = table.groups
    if table.times is not None:
        keys["time"] = table.times
    again = keys.duplicated().to_numpy()
    if not again.any():
        return table, []
    where = table.where(np.flatnonzero(again))
    if _pairs_by_chance(table, ~again) > MAX_CHANCE_PAIRS:
        words = f"{counted(again.sum())} equal to others, as is to be expected of such columns: kept"
        return table, [Finding("alike", words)]
    words = f"{counted(again.sum())} there more than once dropped: {where}"
    return table.take(np.flatnonzero(~again)), [Finding("duplicates", words)]


def _pairs_by_chance(table: Table, once: NDArray[np.bool_]) -> float:
    """How many pairs of rows would be equal if the columns had nothing to do with one another.

    Args:
        once: the rows without those that are there again, which would speak for themselves.
    """
    pairs = len(table) * (len(table) - 1) / 2
    n_once = int(once.sum())
    if n_once < 2:
        return pairs
    for number in range(len(table.features)):
        counts = table.rows.iloc[once, number].value_counts(dropna=False).to_numpy(dtype=np.float64)
        pairs *= float((counts * (counts - 1)).sum()) / (n_once * (n_once - 1))
    return pairs


def _telling(table: Table, recipe: Recipe, before: Profile | None) -> tuple[Table, dict[str, str]]:
    """Without columns that say nothing, and what each was; what callers send stays."""
    taken = {column.name for column in before.columns} if before else set()
    earlier = before.left_out if before else {}
    left_out = {}
    for name in table.names:
        if name in recipe.keep or name in taken:
            continue
        values = table.rows[name]
        if why := without_meaning(values):
            left_out[name] = why
        elif name in earlier:
            left_out[name] = f"{earlier[name]} in the version in service; keep=({name!r},) takes it in"
        elif before is not None:
            left_out[name] = f"is new: callers do not send it; keep=({name!r},) takes it in"
    return table.without(left_out) if left_out else table, left_out


def _about_columns(table: Table) -> Iterator[Finding]:
    for name, feature in zip(table.names, table.features, strict=True):
        values = table.rows[name]
        share = float(values.isna().mean())
        if share > MOSTLY_MISSING:
            yield Finding("missing", f"column {name!r} is missing in {share:.0%} of the rows", name)
        if kind_of(values, feature) == "id":
            yield Finding("id", f"column {name!r} differs in (nearly) every row: nothing to learn from", name)
        if feature.type is ColumnType.NUMBER and is_row_number(values):
            yield Finding("id", f"column {name!r} numbers the rows: nothing to learn from", name)


def _new_columns(table: Table, before: Profile | None) -> Iterator[Finding]:
    taken = {column.name for column in before.columns} if before else set(table.names)
    for name in table.names:
        if name not in taken:
            yield Finding("new column", f"column {name!r} is new: callers of this version must send it", name)


def _about_targets(table: Table, task: Task) -> Iterator[Finding]:
    if task == "regression":
        return
    classes, counts = np.unique(table.targets, return_counts=True)
    for name, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count < RARE * len(table) and len(classes) <= 1 / RARE:
            yield Finding("rare class", f"class {name} is rare: {count:,} of {len(table):,} rows")
        if table.groups is not None and len(set(table.groups[table.targets == name])) == 1:
            yield Finding("one group", f"class {name} is in one group only: it is learnt, no row judges it")
