"""Drop rows and columns that must not be trained on, and report what a person should know about the rest.

Called by :mod:`~modelane_training.preparation.prepare`. A row is dropped only if it has no target or is a
duplicate, a column only if it is constant or callers do not send it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from modelane.data.features import ColumnType
from modelane.errors import BadData
from modelane_training.dataset.build_table import narrowed
from modelane_training.dataset.column_kinds import column_kind, is_row_number
from modelane_training.dataset.row_locations import count_rows
from modelane_training.dataset.table import Table
from modelane_training.preparation import label_noise
from modelane_training.preparation.champion_columns import match_champion, new_columns, why_left_out
from modelane_training.preparation.data_profile import DroppedRows, Finding, Profile
from modelane_training.preparation.duplicates import drop_duplicates
from modelane_training.preparation.validation import check, check_form, check_leaks
from modelane_training.recipe import Recipe, Resolved
from modelane_worker.registry.card import Task

#: The largest share of rows without a target; beyond it the data is wrong, not single rows.
MAX_WITHOUT_TARGET = 0.2

#: A class with a smaller share is reported as rare, a column with a larger share of gaps as mostly missing.
RARE, MOSTLY_MISSING = 0.05, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """The data after cleaning."""

    table: Table
    recipe: Resolved  #: with task and metric decided by the rows that have a target
    findings: tuple[Finding, ...]
    dropped: DroppedRows
    left_out: dict[str, str]  #: why each of these columns was left out


def clean(table: Table, recipe: Recipe, champion: Profile | None = None) -> Cleaned:
    """Check and clean a table.

    Args:
        table: the rows as the source gave them.
        recipe: what to train.
        champion: the profile of the champion's data; None if there is no champion.

    Raises:
        BadData: the data cannot be trained on; the message names rows and columns.
        RecipeError: the recipe's metric does not belong to the target's task.
    """
    findings = [Finding("source", note) for note in table.notes]
    check_form(table)
    n_rows = len(table)
    table = with_targets(table)
    without_target = n_rows - len(table)
    if without_target:
        findings.append(Finding("no target", f"dropped {count_rows(without_target)} without a target"))
    resolved = recipe.resolve(table)
    table = match_champion(table, resolved, champion)
    n_rows = len(table)
    table, repeated = drop_duplicates(table)
    findings += repeated
    left_out = _left_out(table, resolved, champion)
    table = table.without(left_out) if left_out else table
    findings += [Finding("left out", f"left out column {c!r}: it {why}", c) for c, why in left_out.items()]
    check(table, resolved.task)
    leaks = check_leaks(table, resolved.task, recipe.keep)
    findings += [Finding("leak", leak.message(resolved.task), leak.column) for leak in leaks]
    findings += _about_columns(table)
    findings += new_columns(table, champion)
    findings += _about_targets(table, resolved.task)
    findings += label_noise.find(table, resolved.task)
    return Cleaned(
        table=table,
        recipe=resolved,
        findings=tuple(findings),
        dropped=DroppedRows(without_target=without_target, duplicates=n_rows - len(table)),
        left_out=left_out,
    )


def with_targets(table: Table) -> Table:
    """Return the rows that have a target, with the targets in the dtype that they have without gaps.

    Raises:
        BadData: more than ``MAX_WITHOUT_TARGET`` of the rows have no target.
    """
    missing = np.flatnonzero(pd.isna(table.targets))
    if len(missing) > MAX_WITHOUT_TARGET * len(table):
        raise BadData(
            f"{len(missing):,} of {len(table):,} rows have no target ({table.where(missing)}): expected at "
            f"most {MAX_WITHOUT_TARGET:.0%}; if that is intended, leave these rows out in the source"
        )
    if len(missing):
        table = table.take(np.flatnonzero(~pd.isna(table.targets)))
    if table.targets.dtype.kind in "fO" and len(missing):
        table = replace(table, targets=narrowed(table.targets))
    return table if table.targets.dtype != object else replace(table, targets=table.targets.astype(np.str_))


def why_constant(values: pd.Series[Any]) -> str:
    """Return why a model cannot learn from a column, as the end of a sentence; empty if it can."""
    if values.isna().all():
        return "has no value in any row"
    return "has the same value in all rows" if values.nunique(dropna=False) == 1 else ""


def _left_out(table: Table, recipe: Recipe, champion: Profile | None) -> dict[str, str]:
    """Return the columns to leave out, each with the reason; never one that callers send."""
    taken = {column.name for column in champion.columns} if champion else set()
    left_out = {}
    for name in table.names:
        if name in recipe.keep or name in taken:
            continue
        if why := why_constant(table.rows[name]):
            left_out[name] = why
        elif champion is not None:
            left_out[name] = why_left_out(name, champion)
    return left_out


def _about_columns(table: Table) -> Iterator[Finding]:
    for name, feature in zip(table.names, table.features, strict=True):
        values = table.rows[name]
        share = float(values.isna().mean())
        if share > MOSTLY_MISSING:
            yield Finding("missing", f"column {name!r} has no value in {share:.0%} of the rows", name)
        if column_kind(values, feature) == "id":
            yield Finding(
                "id", f"column {name!r} differs in nearly every row: a model cannot learn from it", name
            )
        if feature.type is ColumnType.NUMBER and is_row_number(values):
            yield Finding("id", f"column {name!r} counts the rows: a model cannot learn from it", name)


def _about_targets(table: Table, task: Task) -> Iterator[Finding]:
    if task == "regression":
        return
    classes, counts = np.unique(table.targets, return_counts=True)
    for name, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count < RARE * len(table) and len(classes) <= 1 / RARE:
            yield Finding("rare class", f"class {name} is rare: {count:,} of {len(table):,} rows")
        if table.groups is not None and len(set(table.groups[table.targets == name])) == 1:
            yield Finding(
                "one group", f"class {name} occurs in one group only: it is trained on, but never evaluated"
            )
