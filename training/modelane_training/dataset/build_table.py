"""Columns of a source as a table: features, targets, groups, times.  sources → TABULATE → check."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_training.dataset import type_inference
from modelane_training.dataset.raw import Raw
from modelane_training.dataset.table import Table
from modelane_worker.inference.feature_frame import frame

#: Names of columns that one sentence shows.
_SHOWN_NAMES = 30


class ColumnRoles(Protocol):
    """What each column is used for: see :class:`modelane_training.recipe.Recipe`, which has these fields."""

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


def tabulate(raw: Raw, roles: ColumnRoles, spare: Collection[str] = ()) -> Table:
    """Sort a source's columns by what the recipe has them for, and give each its type.

    Args:
        spare: columns that are read even if the recipe leaves them out, if they are there and of one type.

    Raises:
        BadData: a column is missing or named twice, or its values are of no one type.
    """
    names = _names(raw)
    wanted = (roles.target, roles.groups, roles.time, *roles.leave_out)
    features, arrays, notes = [], {}, list(raw.notes)
    for name in filter(None, (*wanted, *roles.keep)):
        if name in names:
            continue
        if name in roles.leave_out and not _close(name, names):  # one that is gone may stay in the recipe
            notes.append(f"leave_out names a column {name!r}, which is not there")
            continue
        raise BadData(f"{raw.name} has no column {name!r}; {_suggestion(name, names)}")
    for number, name in enumerate(names):
        if name in wanted:
            continue
        column = type_inference.read(name, raw.frame.iloc[:, number], raw)
        notes += filter(None, [column.hint])
        features.append(Feature(name, ColumnType.of_array(column.values.dtype)))
        arrays[name] = column.values
    rows = frame(arrays, features) if features else pd.DataFrame(index=pd.RangeIndex(len(raw.frame)))
    return Table(
        source=raw.name,
        features=tuple(features),
        rows=rows,
        targets=_targets(roles.target, raw, names),
        groups=_groups(roles.groups, raw, names),
        times=_times(roles.time, raw, names),
        spare=_spare([name for name in names if name in roles.leave_out and name in spare], raw, names),
        places=raw.places,
        notes=tuple(notes),
    )


def _spare(wanted: Sequence[str], raw: Raw, names: list[str]) -> pd.DataFrame | None:
    arrays = {}
    for name in wanted:
        with suppress(BadData):  # it may have been left out for that
            arrays[name] = type_inference.read(name, raw.frame.iloc[:, names.index(name)], raw).values
    features = [Feature(name, ColumnType.of_array(values.dtype)) for name, values in arrays.items()]
    return frame(arrays, features) if features else None


def narrowed(targets: NDArray[Any]) -> NDArray[Any]:
    """Without missing ones: whole numbers as int64, names as fixed-width strings; else as they are."""
    if targets.dtype.kind == "f":
        whole = np.isfinite(targets).all() and (targets == np.floor(targets)).all()
        return (
            targets.astype(np.int64)
            if whole and (np.abs(targets) <= type_inference.MAX_EXACT).all()
            else targets
        )
    if targets.dtype == object and not pd.isna(targets).any():
        return targets.astype(np.str_)
    return targets


def _names(raw: Raw) -> list[str]:
    names = [str(name) for name in raw.frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadData(f"{raw.name}: column names must differ; more than once: {', '.join(twice)}")
    if "" in names:
        raise BadData(f"{raw.name}: column {names.index('') + 1} has no name")
    return names


def _suggestion(name: str, names: Sequence[str]) -> str:
    if not names:
        return "it has no columns at all"
    if close := _close(name, names):
        return f"did you mean {close!r}?"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"it has {', '.join(names[:_SHOWN_NAMES])}{more}"


def _close(name: str, names: Sequence[str]) -> str | None:
    lowered = {each.lower(): each for each in names}
    found = get_close_matches(name.lower(), lowered, n=1)
    return lowered[found[0]] if found else None


def _targets(name: str, raw: Raw, names: list[str]) -> NDArray[Any]:
    values = type_inference.read(name, raw.frame.iloc[:, names.index(name)], raw).values
    if values.dtype.kind == "M":
        raise BadData(f"the target {name!r} is a date; a model predicts a class or a number")
    return narrowed(values)


def _groups(name: str | None, raw: Raw, names: list[str]) -> NDArray[Any] | None:
    if name is None:
        return None
    values = type_inference.read(name, raw.frame.iloc[:, names.index(name)], raw).values
    _refuse_missing(name, values, raw)
    return values.astype(np.str_)


def _times(name: str | None, raw: Raw, names: list[str]) -> NDArray[Any] | None:
    if name is None:
        return None
    values = type_inference.read(name, raw.frame.iloc[:, names.index(name)], raw).values
    if values.dtype == object:
        raise BadData(f"column {name!r} gives the time order: expected dates (ISO 8601) or numbers, not text")
    _refuse_missing(name, values, raw)
    return values


def _refuse_missing(name: str, values: NDArray[Any], raw: Raw) -> None:
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        raise BadData(f"{raw.places.all(missing.tolist())}: column {name!r}, by which to split, is empty")
