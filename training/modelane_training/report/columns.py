"""Summarize the values of each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelane.data.features import ColumnType, Feature
from modelane_training.dataset.column_kinds import column_kind
from modelane_training.dataset.table import Table
from modelane_training.preparation.data_profile import Profile
from modelane_training.report.diagnostics import ColumnSummary

if TYPE_CHECKING:
    import pandas as pd

MAX_COLUMNS = 100
_SHOWN_VALUES = 3


def columns(table: Table, profile: Profile | None = None) -> tuple[tuple[ColumnSummary, ...], str]:
    """Return the summaries of the first columns, and a sentence on those that were left out."""
    drifts = {} if profile is None else {column.name: column.drift for column in profile.columns}
    summaries = tuple(
        ColumnSummary(
            name=feature.name[:60],
            kind=_kind(values, feature),
            missing=float(values.isna().mean()),
            distinct=int(values.nunique()),
            typical=_typical(values.dropna(), feature),
            drift=drifts.get(feature.name),
        )
        for number, feature in enumerate(table.features[:MAX_COLUMNS])
        for values in [table.rows.iloc[:, number]]
    )
    n_more = len(table.features) - len(summaries)
    return summaries, f"the values of {n_more} more columns" if n_more else ""


def _kind(values: pd.Series[Any], feature: Feature) -> str:
    """Return number, category, text or date, without the finer distinctions of the data profile."""
    if feature.type is not ColumnType.STRING:
        return "date" if feature.type is ColumnType.DATE else "number"
    return "text" if column_kind(values, feature) == "text" else "category"


def _typical(values: pd.Series[Any], feature: Feature) -> str:
    if not len(values):
        return "only missing values"
    if feature.type is ColumnType.STRING:
        return _typical_strings(values, feature)
    low, middle, high = values.min(), values.median(), values.max()
    if feature.type is ColumnType.NUMBER:
        return f"{low:.4g} to {high:.4g}, median {middle:.4g}"
    return f"{low:%Y-%m-%d} to {high:%Y-%m-%d}"


def _typical_strings(values: pd.Series[Any], feature: Feature) -> str:
    if _kind(values, feature) == "text":
        return f"{values.str.split().str.len().mean():.0f} words on average"
    counts = values.value_counts()
    if len(counts) == len(values) > 1:
        return "all values differ"
    shown = ", ".join(
        f"{str(value)[:24]} {n / len(values):.0%}" for value, n in counts.head(_SHOWN_VALUES).items()
    )
    return shown + (" …" if len(counts) > _SHOWN_VALUES else "")
