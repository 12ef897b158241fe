"""The kind of a column: number, category, text or date.

A kind is more precise than a :class:`~modelane.data.features.ColumnType`: strings that repeat are a category,
strings of many words are text. The data profile, `modelane init`, the feature pipeline and the report all
take a column's kind from here.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import pandas as pd

from modelane.data.features import ColumnType, Feature

#: ``number``, ``category`` (strings that repeat), ``text`` (free text) and ``date``; more precise words for
#: numbers (``whole number``, ``yes or no`` for 0 and 1), for strings that nearly all differ (``id``), and for
#: a column without any value (``nothing``). Profiles in the model store use these words: do not change them.
ColumnKind = Literal["nothing", "number", "whole number", "yes or no", "date", "category", "text", "id"]

#: Strings are an id if at least this share of them is distinct.
_ID_SHARE = 0.99

#: Strings are text if they have this many words on average and at least this share of them is distinct.
_WORDS = 2.5
_TEXT_SHARE = 0.5

#: Strings whose words are counted: an even sample of a column.
_SAMPLE = 2_000

#: With this many rows or fewer, all values may differ by chance.
_FEW = 20


def column_kind(column: pd.Series[object], feature: Feature) -> ColumnKind:
    """Return the kind of a table's column.

    Args:
        column: the values, in the dtype of a table.
        feature: the name and type of the column.
    """
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
    """Return whether a column of numbers counts the rows, upwards or downwards in steps of 1."""
    numbers = column.to_numpy(dtype=np.float64)
    return len(numbers) > _FEW and bool(
        (np.abs(np.diff(numbers)) == 1).all() and np.ptp(numbers) == len(numbers) - 1
    )


def _kind_of_strings(present: pd.Series[object]) -> ColumnKind:
    distinct_share = present.nunique() / len(present)
    sample = cast("pd.Series[str]", present.iloc[:: max(len(present) // _SAMPLE, 1)])
    n_words = sample.str.count(r"\s+") + 1
    if distinct_share >= _TEXT_SHARE and n_words.mean() >= _WORDS:
        return "text"
    return "id" if distinct_share >= _ID_SHARE and len(present) > _FEW else "category"
