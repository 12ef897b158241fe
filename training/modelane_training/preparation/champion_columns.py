"""Keep a model's columns compatible with what its callers send.

Callers send the columns that the champion takes. These columns stay, in their order and with their dtypes,
and a new column is left out until the recipe's ``keep`` lists it: no version is published that refuses its
callers.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation.data_profile import Finding, Profile
from modelane_training.recipe import Recipe

_PLURALS = {ColumnType.NUMBER: "numbers", ColumnType.STRING: "strings", ColumnType.DATE: "dates"}


def match_champion(table: Table, recipe: Recipe, champion: Profile | None) -> Table:
    """Return the table with the champion's columns first, in their order and with their dtypes.

    Args:
        table: the rows of this run.
        recipe: its ``leave_out``, ``keep``, ``groups`` and ``time`` exempt columns.
        champion: the profile of the champion's data; None if there is no champion.

    Raises:
        BadData: the data lacks a column that the champion takes, or has it with another dtype.
    """
    if champion is None:
        return table
    here = {feature.name: feature for feature in table.features}
    exempt = {*recipe.keep, *recipe.leave_out, recipe.groups, recipe.time}
    empty = []
    for column in champion.columns:
        name = column.name
        if name in exempt:
            continue
        if name not in here:
            raise BadData(
                f"the data has no column {name!r}, which the champion takes: restore it; "
                f"if it is gone for good, add leave_out=({name!r},) to the recipe"
            )
        if here[name].dtype == column.dtype:
            continue
        if not table.rows[name].isna().all():
            raise BadData(
                f"column {name!r} has {_PLURALS[here[name].type]}, but the champion takes "
                f"{_PLURALS[ColumnType.named(column.dtype)]}: correct the data; if the new type is intended, "
                f"add keep=({name!r},) to the recipe"
            )
        empty.append(Feature(name, column.dtype))
    table = table.retyped(empty) if empty else table
    taken = [column.name for column in champion.columns if column.name in here]
    return table.only([*taken, *(name for name in table.names if name not in taken)])


def why_left_out(name: str, champion: Profile) -> str:
    """Return why a column that the champion does not take is left out of this run."""
    add = f"add keep=({name!r},) to the recipe to use it"
    if name in champion.left_out:
        return f"was left out of the champion, so callers do not send it: {add}"
    return f"is new, so callers do not send it: {add}"


def new_columns(table: Table, champion: Profile | None) -> Iterator[Finding]:
    """Yield a finding for each column that the champion does not take and this run does."""
    taken = {column.name for column in champion.columns} if champion else set(table.names)
    for name in table.names:
        if name not in taken:
            yield Finding("new column", f"column {name!r} is new: callers of this version must send it", name)
