"""The columns of a table: their features, and conversion of pandas columns that already have a type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modelane.data import datetimes
from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_worker.inference import typed_columns


def features_of(rows: pd.DataFrame) -> tuple[Feature, ...]:
    """Return the features of a frame whose columns already have the dtypes of a table."""
    columns = zip(rows.columns, rows.dtypes, strict=True)
    return tuple(Feature(name, ColumnType.of_array(dtype)) for name, dtype in columns)


def typed_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column in the dtype of its type; strings stay strings, even those of digits.

    Raises:
        BadData: the column has a value that is not a number, a boolean, a string or a date.
    """
    if (values := typed_columns.from_pandas(column)) is not None:
        return pd.Series(values)
    objects = column.astype(object)
    strings = objects.where(objects.notna(), np.nan)
    for number, value in enumerate(strings):
        if not isinstance(value, str) and not datetimes.is_missing(value):
            raise BadData(
                f"row {number}: column {column.name!r} has a {type(value).__name__}: "
                "expected numbers, booleans, strings or dates"
            )
    return pd.Series(strings.to_numpy(dtype=object), dtype=object)
