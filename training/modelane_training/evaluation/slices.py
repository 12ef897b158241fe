"""Parts of the hold-out whose rows have something in common.  split → SLICES → evaluate.

A model can be better on the whole and worse for somebody; slices show it.
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

#: With fewer, chance is all that a slice shows.
MIN_ROWS = 30
#: Columns that are looked at if the recipe names none: those of text first, in the table's order.
MAX_COLUMNS = 20
#: Values of a column that make a slice each; a column of numbers or dates with more is cut into quarters.
MAX_VALUES = 5
#: Rows that are looked at; of more, chance takes so many.
MAX_ROWS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice:
    column: str
    value: str  #: in words
    index: NDArray[np.intp]  #: its rows' places in the hold-out


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    judged: tuple[Slice, ...]
    left_out: str = ""  #: and why, a sentence; empty if all are here


NO_SLICES = Slices(judged=())


def cut(hold_out: Table, columns: tuple[str, ...] = (), *, seed: int = 0) -> Slices:
    """Slices of enough rows by the most frequent values of a column, or by its quarters.

    Args:
        columns: which; by default up to ``MAX_COLUMNS``.

    Raises:
        RecipeError: there is no such column.
    """
    if unknown := [name for name in columns if name not in hold_out.names]:
        raise RecipeError(f"gate: slices by {unknown[0]!r}, which is not a column of the data")
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
    """What rows may have in common, and which do."""
    missing = values.isna().to_numpy()
    counts = values[~missing].value_counts()  # the most frequent first
    if values.dtype == object or len(counts) <= MAX_VALUES:
        for value in counts.index[:MAX_VALUES]:
            yield _words(value), (values == value).to_numpy()
    else:
        yield from _quarters(values.to_numpy(), missing)
    if missing.any():
        yield "missing", missing


def _quarters(values: NDArray[Any], missing: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    there = values[~missing]
    low, before = there.min(), ~missing & False
    for end in np.unique(np.quantile(there, [0.25, 0.5, 0.75, 1], method="lower")):
        upto = ~missing & (values <= end)
        yield f"{_words(low)} to {_words(end)}", upto & ~before
        low, before = end, upto


def _words(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[D]"))
    return str(value)[:60]


def _left_out(n_small: int, n_columns: int, n_rows: int) -> str:
    parts = []
    if n_small:
        parts.append(f"{n_small} slices of fewer than {MIN_ROWS} rows")
    if n_columns:
        parts.append(f"{n_columns} columns beyond those looked at")
    words = "not judged: " + " and ".join(parts) if parts else ""
    if n_rows > MAX_ROWS:
        words += f"{'; ' if words else ''}cut from {MAX_ROWS:,} of {n_rows:,} rows"
    return words
