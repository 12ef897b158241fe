"""Infer the dtype of a source's column from its values.

    values in the source                               dtype in the table
    numbers, booleans, decimals                        float64
    whole numbers beyond 2**53                         str: two of them could be the same float64
    dates and times                                    datetime64[us], UTC
    strings that are all ISO 8601 dates                datetime64[us], UTC
    other strings, pandas' categories, UUIDs           str
    CSV only: strings that are all numbers             float64; str if there are leading zeros (00123)
    CSV only: strings that are all true or false       float64

The types of a source that has types (Parquet, SQL, JSON, pandas) are kept: a string that looks like a number
stays a string, because callers that send it to the model have a string as well.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane_training.dataset import string_inference
from modelane_training.dataset.raw import Raw
from modelane_training.dataset.string_inference import LARGE_NUMBERS, MAX_EXACT, InferredColumn, column_error
from modelane_worker.inference import typed_columns

#: What each value of a column of objects may be; any other type is refused by its name.
_NUMBER, _STRING, _DATE, _MISSING = "number", "string", "date", "missing"

#: What pandas' ``infer_dtype`` says about a column of objects that all have the same type.
_UNIFORM = {
    "string": _STRING,
    "boolean": _NUMBER,
    "integer": _NUMBER,
    "floating": _NUMBER,
    "mixed-integer-float": _NUMBER,
    "decimal": _NUMBER,
}


def infer_column(name: str, column: pd.Series[Any], raw: Raw) -> InferredColumn:
    """Convert a column of a source to the dtype that it has in a table.

    Args:
        name: the column's name, for errors and notes.
        column: the values as the source gave them.
        raw: the source's data; says what a missing value is, and where each row is.

    Raises:
        BadData: the column mixes types, or has values that are not numbers, strings or dates.
    """
    dtype: Any = column.dtype
    if dtype.kind in "iu":
        present = column[column.notna()].to_numpy()
        if len(present) and (present.max() > MAX_EXACT or present.min() < -MAX_EXACT):
            return _large_numbers(name, column.astype(object))
    if (values := typed_columns.from_pandas(column)) is not None:
        return InferredColumn(values)
    return _from_objects(name, column.astype(object), raw)


def _from_objects(name: str, column: pd.Series[Any], raw: Raw) -> InferredColumn:
    values = column.to_numpy(dtype=object, copy=True)
    types = _types(column)
    strings = np.flatnonzero(types == _STRING)
    types[[index for index in strings if str(values[index]).strip() in raw.missing]] = _MISSING
    found = set(types.tolist()) - {_MISSING}
    if not found:
        return InferredColumn(np.full(len(values), np.nan))
    _check_types(name, values, types, found, raw)
    missing = types == _MISSING
    if _NUMBER in found:
        return _numbers(name, values, missing)
    if _DATE in found:
        values[missing] = None
        return InferredColumn(datetimes.to_dates(values))
    return string_inference.infer_strings(name, values, missing, raw)


def _check_types(name: str, values: NDArray[Any], types: NDArray[Any], found: set[str], raw: Raw) -> None:
    if others := sorted(found - {_NUMBER, _STRING, _DATE}):
        rows = np.flatnonzero(types == others[0])
        raise column_error(
            *(name, raw, rows, values[rows[0]]),
            found=f"values of type {others[0]}",
            remedy="expected numbers, strings or dates: convert the column in the source, or leave it out",
        )
    if len(found) > 1:
        rarest = min(found, key=lambda each: int((types == each).sum()))
        rest = " and ".join(sorted(f"{each}s" for each in found - {rarest}))
        rows = np.flatnonzero(types == rarest)
        raise column_error(
            *(name, raw, rows, values[rows[0]]),
            found=f"{rarest}s among {rest}",
            remedy="expected values of one type: correct these rows, or convert the column in the source",
        )


def _types(column: pd.Series[Any]) -> NDArray[Any]:
    """Return what each value is, as an array of objects."""
    if uniform := _UNIFORM.get(pd.api.types.infer_dtype(column, skipna=True)):
        return np.where(column.isna(), _MISSING, uniform).astype(object)
    return np.array([_type(value) for value in column], dtype=object)


def _type(value: Any) -> str:
    if isinstance(value, str | UUID):
        return _STRING
    if datetimes.is_missing(value):
        return _MISSING
    if isinstance(value, int | float | Decimal | np.number | np.bool_):
        return _NUMBER
    if isinstance(value, date | np.datetime64):
        return _DATE
    return type(value).__name__


def _numbers(name: str, values: NDArray[Any], missing: NDArray[np.bool_]) -> InferredColumn:
    present = values[~missing]
    if any(isinstance(value, int | np.integer) and abs(int(value)) > MAX_EXACT for value in present):
        return _large_numbers(name, pd.Series(values, dtype=object))
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = [float(value) for value in present]
    return InferredColumn(numbers)


def _large_numbers(name: str, column: pd.Series[Any]) -> InferredColumn:
    strings = [np.nan if datetimes.is_missing(value) else str(int(value)) for value in column]
    return InferredColumn(np.array(strings, dtype=object), f"column {name!r} {LARGE_NUMBERS}")
