"""Slices: parts of the hold-out whose rows have a value in common.

A model can be better on average and worse for some of its callers; slices show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelane.data.features import ColumnType
from modelane.errors import RecipeError
from modelane_training.dataset.table import Table

if TYPE_CHECKING:
    import pandas as pd

#: A slice with fewer rows is not evaluated: chance would decide.
MIN_ROWS = 30
#: The columns that are used if the recipe names none: those of strings first, then in the table's order.
MAX_COLUMNS = 20
#: The most frequent values of a column are a slice each; more numbers or dates are cut into quarters.
MAX_VALUES = 5
#: The rows that are used: of more rows, a random sample.
MAX_ROWS = 200_000

#: Characters of a value that a slice shows.
_MAX_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice:
    """The rows of the hold-out that have a value of one column in common."""

    column: str
    value: str  #: the value or the range, for people
    index: NDArray[np.intp]  #: the indices of its rows in the hold-out


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The slices of a hold-out."""

    judged: tuple[Slice, ...]  #: those that are evaluated
    left_out: str = ""  #: which are not, and why; empty if all are


NO_SLICES = Slices(judged=())


def cut(hold_out: Table, columns: tuple[str, ...] = (), *, seed: int = 0) -> Slices:
    """Cut the hold-out by the most frequent values of its columns, or by the quarters of numbers and dates.

    Args:
        hold_out: the rows.
        columns: the columns to cut by; default: up to ``MAX_COLUMNS`` of all.
        seed: decides which rows are sampled if there are more than ``MAX_ROWS``.

    Raises:
        RecipeError: there is no such column.
    """
    if unknown := [name for name in columns if name not in hold_out.names]:
        raise RecipeError(
            f"gate: slices has a column {unknown[0]!r}, which is not a feature of the model: "
            f"expected columns such as {', '.join(hold_out.names[:5])}"
        )
    by_kind = sorted(hold_out.features, key=lambda feature: feature.type is not ColumnType.STRING)
    chosen = columns or tuple(feature.name for feature in by_kind[:MAX_COLUMNS])
    n_rows = len(hold_out)
    rows = np.arange(n_rows)
    if n_rows > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(n_rows, MAX_ROWS, replace=False))
    judged, n_small = [], 0
    for column in chosen:
        for value, mask in _parts(hold_out.rows[column].iloc[rows]):
            index = rows[mask]
            if len(index) >= MIN_ROWS:
                if len(index) < len(rows):
                    judged.append(Slice(column=column, value=value, index=index))
            else:
                n_small += 1
    return Slices(
        judged=tuple(judged), left_out=_left_out(n_small, len(hold_out.names) - len(chosen), n_rows)
    )


def _parts(values: pd.Series[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each value or range, and the mask (n,) of the rows that have it."""
    missing = values.isna().to_numpy()
    counts = values[~missing].value_counts()  # the most frequent first
    if values.dtype == object or len(counts) <= MAX_VALUES:
        for value in counts.index[:MAX_VALUES]:
            yield _text(value), (values == value).to_numpy()
    else:
        yield from _quarters(values.to_numpy(), missing)
    if missing.any():
        yield "missing", missing


def _quarters(values: NDArray[Any], missing: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    present = values[~missing]
    low, before = present.min(), ~missing & False
    for end in np.unique(np.quantile(present, [0.25, 0.5, 0.75, 1], method="lower")):
        upto = ~missing & (values <= end)
        yield f"{_text(low)} to {_text(end)}", upto & ~before
        low, before = end, upto


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[D]"))
    return str(value)[:_MAX_CHARS]


def _left_out(n_small: int, n_columns: int, n_rows: int) -> str:
    parts = []
    if n_small:
        parts.append(f"{n_small} slice{'s' if n_small > 1 else ''} with fewer than {MIN_ROWS} rows")
    if n_columns:
        parts.append(f"{n_columns} more column{'s' if n_columns > 1 else ''}")
    sentences = [f"not evaluated: {' and '.join(parts)}"] if parts else []
    if n_rows > MAX_ROWS:
        sentences.append(f"a sample of {MAX_ROWS:,} of {n_rows:,} rows was used")
    return "; ".join(sentences)
