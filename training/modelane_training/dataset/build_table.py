"""Build a table from a source's columns: features, targets, groups and times, each with its dtype."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.errors import BadData
from modelane_training.dataset.raw import Raw
from modelane_training.dataset.string_inference import MAX_EXACT
from modelane_training.dataset.table import Table
from modelane_training.dataset.table_columns import features_of
from modelane_training.dataset.type_inference import infer_column
from modelane_worker.inference.feature_frame import assemble

#: The column names that one sentence lists.
_MAX_LISTED = 30


class ColumnRoles(Protocol):
    """What each column is used for; :class:`modelane_training.recipe.Recipe` has these fields."""

    @property
    def target(self) -> str: ...

    @property
    def groups(self) -> str | None: ...

    @property
    def time(self) -> str | None: ...

    @property
    def leave_out(self) -> tuple[str, ...]: ...

    @property
    def keep(self) -> tuple[str, ...]: ...


def build_table(raw: Raw, roles: ColumnRoles, spare: Collection[str] = ()) -> Table:
    """Assign each column of a source to its role and convert it to its dtype.

    Args:
        raw: the source's columns.
        roles: what the recipe uses each column for.
        spare: columns to read although the recipe leaves them out, as far as the source has them and their
            values have one type; see :class:`Table`.

    Raises:
        BadData: a column is missing, has no name or the name of another one, or mixes types.
    """
    names = _names(raw)
    notes = list(raw.notes)
    no_features = (roles.target, roles.groups, roles.time, *roles.leave_out)
    for name in filter(None, (*no_features, *roles.keep)):
        if name in names:
            continue
        if name in roles.leave_out and not _close(name, names):  # a column may vanish from the data
            notes.append(f"leave_out lists a column {name!r}, which the data does not have")
            continue
        raise BadData(f"{raw.name} has no column {name!r}: {_suggestion(name, names)}")
    columns = {}
    for number, name in enumerate(names):
        if name not in no_features:
            inferred = infer_column(name, raw.frame.iloc[:, number], raw)
            columns[name] = inferred.values
            notes += filter(None, [inferred.note])
    rows = assemble(columns) if columns else pd.DataFrame(index=pd.RangeIndex(len(raw.frame)))
    return Table(
        source=raw.name,
        features=features_of(rows),
        rows=rows,
        targets=_targets(roles.target, raw, names),
        groups=_groups(roles.groups, raw, names),
        times=_times(roles.time, raw, names),
        spare=_spare([name for name in names if name in roles.leave_out and name in spare], raw, names),
        places=raw.places,
        notes=tuple(notes),
    )


def narrowed(targets: NDArray[Any]) -> NDArray[Any]:
    """Return targets in a narrower dtype where none is missing.

    Whole numbers become int64 and class names become fixed-width strings; others stay as they are.
    """
    if targets.dtype.kind == "f":
        whole = np.isfinite(targets).all() and (targets == np.floor(targets)).all()
        return targets.astype(np.int64) if whole and (np.abs(targets) <= MAX_EXACT).all() else targets
    if targets.dtype == object and not pd.isna(targets).any():
        return targets.astype(np.str_)
    return targets


def _values(name: str, raw: Raw, names: list[str]) -> NDArray[Any]:
    return infer_column(name, raw.frame.iloc[:, names.index(name)], raw).values


def _spare(wanted: Sequence[str], raw: Raw, names: list[str]) -> pd.DataFrame | None:
    columns = {}
    for name in wanted:
        with suppress(BadData):  # the recipe may leave the column out for that reason
            columns[name] = _values(name, raw, names)
    return assemble(columns) if columns else None


def _names(raw: Raw) -> list[str]:
    names = [str(name) for name in raw.frame.columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BadData(
            f"{raw.name} has several columns with the same name: {', '.join(repeated)}; "
            "expected unique names: rename all but one"
        )
    if "" in names:
        raise BadData(f"{raw.name}: column {names.index('') + 1} has no name: give it one")
    return names


def _suggestion(name: str, names: Sequence[str]) -> str:
    if not names:
        return "it has no columns at all"
    if close := _close(name, names):
        return f"did you mean {close!r}?"
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"its columns are {', '.join(names[:_MAX_LISTED])}{more}"


def _close(name: str, names: Sequence[str]) -> str | None:
    lowered = {each.lower(): each for each in names}
    found = get_close_matches(name.lower(), lowered, n=1)
    return lowered[found[0]] if found else None


def _targets(name: str, raw: Raw, names: list[str]) -> NDArray[Any]:
    values = _values(name, raw, names)
    if values.dtype.kind == "M":
        raise BadData(
            f"the target {name!r} holds dates: expected class names or numbers; "
            "to predict a date, turn it into a number, such as days, in the source"
        )
    return narrowed(values)


def _groups(name: str | None, raw: Raw, names: list[str]) -> NDArray[Any] | None:
    if name is None:
        return None
    values = _values(name, raw, names)
    _check_complete(name, values, raw, "groups")
    return values.astype(np.str_)


def _times(name: str | None, raw: Raw, names: list[str]) -> NDArray[Any] | None:
    if name is None:
        return None
    values = _values(name, raw, names)
    if values.dtype == object:
        present = values[~pd.isna(values)]
        raise BadData(
            f"column {name!r}, the recipe's time, holds strings, such as {present[0]!r:.40}: "
            "expected ISO 8601 dates, such as 2026-01-31, or numbers"
        )
    _check_complete(name, values, raw, "time")
    return values


def _check_complete(name: str, values: NDArray[Any], raw: Raw, role: str) -> None:
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise BadData(
            f"{raw.places.all(missing.tolist())}: column {name!r}, the recipe's {role}, has no value: "
            "fill in these values, or leave these rows out in the source"
        )
