"""Describe prepared data: make the profile of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from msgspec.structs import replace
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane_training.dataset.column_kinds import column_kind
from modelane_training.dataset.table import Table
from modelane_training.preparation.data_profile import (
    MAX_CHARS,
    MAX_DETAILED,
    MAX_FINDINGS,
    ColumnProfile,
    DroppedRows,
    Finding,
    NumberSummary,
    Profile,
    TargetProfile,
    ValueCount,
)
from modelane_training.recipe import Resolved

#: Bars of a histogram.
_BARS = 20
_DECILES = np.linspace(0, 1, 11)

#: The most frequent values of a category that a profile keeps.
_TOP = 20


def describe(
    table: Table,
    recipe: Resolved,
    *,
    findings: Sequence[Finding],
    dropped: DroppedRows,
    left_out: Mapping[str, str],
) -> Profile:
    """Return the profile of all rows that are left to train and evaluate on.

    Args:
        table: the prepared rows.
        recipe: names the target and the task.
        findings: what the checks found; the profile keeps the first ``MAX_FINDINGS``.
        dropped: how many rows were dropped.
        left_out: why each of these columns was left out.
    """
    columns = [
        _column(table.rows.iloc[:, number], feature, detailed=number < MAX_DETAILED)
        for number, feature in enumerate(table.features)
    ]
    return Profile(
        source=table.source,
        n_rows=len(table),
        dropped=dropped,
        left_out=dict(left_out),
        spare=[] if table.spare is None else list(table.spare.columns),
        columns=columns,
        target=_target(table, recipe),
        findings=list(findings[:MAX_FINDINGS]),
    )


def present_numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the numbers of a column that are not missing; dates become seconds since 1970 (UTC)."""
    present: NDArray[Any] = values.dropna().to_numpy()
    if present.dtype.kind == "M":
        return present.astype("datetime64[us]").astype(np.int64) / 1e6
    return present.astype(np.float64)


def decile_counts(numbers: NDArray[np.float64], deciles: Sequence[float]) -> list[int]:
    """Count the numbers between consecutive distinct deciles; the first and last part have no outer limit."""
    inner = np.unique(deciles)[1:-1]
    counts = np.bincount(np.searchsorted(inner, numbers, side="left"), minlength=len(inner) + 1)
    return [int(count) for count in counts]


def _column(values: pd.Series[Any], feature: Feature, *, detailed: bool) -> ColumnProfile:
    kind = column_kind(values, feature)
    column = ColumnProfile(
        name=feature.name,
        dtype=feature.dtype,
        kind=kind,
        n_missing=int(values.isna().sum()),
        n_distinct=int(values.nunique()),
    )
    if not detailed or kind in ("nothing", "id"):
        return column
    if feature.type is not ColumnType.STRING:
        return replace(column, numbers=_summary(present_numbers(values)))
    if kind == "text":
        return replace(column, mean_chars=float(values.dropna().str.len().mean()))
    top = _top(values)
    rest = len(values) - column.n_missing - sum(value.count for value in top)
    return replace(column, top=top, n_rest=rest)


def _summary(numbers: NDArray[np.float64]) -> NumberSummary:
    low, high = float(numbers.min()), float(numbers.max())
    deciles = np.quantile(numbers, _DECILES, method="inverted_cdf").tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(numbers.mean()), float(numbers.std())
        bars = 1 if not np.isfinite(high - low) or high == low else _BARS
        edges = np.linspace(low, high, bars + 1) if bars > 1 else np.array([low, high])
    bar = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, bars - 1)
    return NumberSummary(
        min=low,
        max=high,
        mean=mean if np.isfinite(mean) else None,
        std=std if np.isfinite(std) else None,
        deciles=deciles,
        edges=edges.tolist(),
        counts=np.bincount(bar, minlength=bars).tolist(),
        decile_counts=decile_counts(numbers, deciles),
    )


def _top(values: pd.Series[Any]) -> list[ValueCount]:
    counts = values.value_counts().head(_TOP)
    return [ValueCount(str(value)[:MAX_CHARS], int(count)) for value, count in counts.items()]


def _target(table: Table, recipe: Resolved) -> TargetProfile:
    target = TargetProfile(name=recipe.target, task=recipe.task)
    if recipe.task == "classification":
        return replace(target, classes=_top(pd.Series(table.targets)))
    return replace(target, numbers=_summary(table.targets.astype(np.float64)))
