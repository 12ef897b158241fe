"""What kind of thing a column holds, beyond its dtype.  table → KINDS → clean, profile, init, features."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import pandas as pd

from modelane.data.features import ColumnType, Feature

Kind = Literal["nothing", "number", "whole number", "yes or no", "date", "category", "text", "id"]

#: From this share of different values on, a column of words names its rows.
ID_SHARE = 0.99

#: Text has this many words a row, and rows that mostly differ.
_WORDS = 2.5
_TEXT_SHARE = 0.5
_LOOKED_AT = 2_000

#: Among so few rows, values that all differ do so by chance.
_FEW = 20


def kind_of(column: pd.Series[object], feature: Feature) -> Kind:
    """The kind of a table's column."""
    present = column.dropna()
    if present.empty:
        return "nothing"
    if feature.type is ColumnType.DATE:
        return "date"
    if feature.type is ColumnType.STRING:
        return _kind_of_strings(present)
    numbers = present.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        return "number"
    return "yes or no" if set(np.unique(numbers)) == {0.0, 1.0} else "whole number"


def is_row_number(column: pd.Series[object]) -> bool:
    """Whether whole numbers count the rows: all different, without gaps, in order."""
    numbers = column.to_numpy(dtype=np.float64)
    return len(numbers) > 20 and bool(
        (np.abs(np.diff(numbers)) == 1).all() and np.ptp(numbers) == len(numbers) - 1
    )


def _kind_of_strings(present: pd.Series[object]) -> Kind:
    share = present.nunique() / len(present)
    some = cast("pd.Series[str]", present.iloc[:: max(len(present) // _LOOKED_AT, 1)])
    n_words = some.str.count(r"\s+") + 1
    if share >= _TEXT_SHARE and n_words.mean() >= _WORDS:
        return "text"
    return "id" if share >= ID_SHARE and len(present) > _FEW else "category"
