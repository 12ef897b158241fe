"""Convert values to the types of a card's columns: the same rules for training and for serving.

type     array             missing value   takes
NUMBER   float64           NaN             numbers, booleans, strings that spell a number
STRING   object, of str    NaN             strings
DATE     datetime64[us]    NaT             dates, ISO 8601 strings (see modelane.data.datetimes)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.data.features import ColumnType, Feature
from modelane.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

#: The values of one column, before they are converted.
Values = NDArray[Any] | Sequence[Any]


def convert(values: Values, feature: Feature) -> NDArray[Any]:
    """Return values, shape (n,), as an array of their feature's type.

    Raises:
        BadInput: A value does not fit; the message names its row and column, but never shows the value.
    """
    array = values if isinstance(values, np.ndarray) else np.fromiter(values, object, len(values))
    match feature.type:
        case ColumnType.NUMBER:
            return _numbers(array, feature.name)
        case ColumnType.STRING:
            return _strings(array, feature.name)
        case ColumnType.DATE:
            return _dates(array, feature.name)


def from_pandas(column: pd.Series[Any]) -> NDArray[Any] | None:
    """Return a pandas column as numbers or dates, shape (n,), or None if its dtype is neither."""
    dtype: Any = column.dtype
    if dtype.kind in "biuf":
        numbers: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    if dtype.kind != "M":
        return None
    if getattr(dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    dates: NDArray[Any] = column.to_numpy(dtype=datetimes.DTYPE)
    return dates


def _numbers(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64, copy=False)
    numbers = np.empty(len(values))
    for row, value in enumerate(_objects(values)):
        try:
            if datetimes.is_missing(value):
                numbers[row] = np.nan
            elif isinstance(value, bytes | np.datetime64):
                raise TypeError
            else:
                numbers[row] = float(value)
        except (TypeError, ValueError, OverflowError) as exc:
            found = "too large" if isinstance(exc, OverflowError) else _type_name(value)
            raise BadInput(f"column {name!r:.60} takes numbers, but row {row} is {found}") from exc
    return numbers


def _strings(values: NDArray[Any], name: str) -> NDArray[Any]:
    strings = values.astype(object)
    for row, value in enumerate(_objects(values)):
        if isinstance(value, str):
            strings[row] = str(value)
        elif datetimes.is_missing(value):
            strings[row] = np.nan
        else:
            raise BadInput(f"column {name!r:.60} takes strings, but row {row} is {_type_name(value)}")
    return strings


def _dates(values: NDArray[Any], name: str) -> NDArray[np.datetime64]:
    try:
        return (
            datetimes.from_array(values) if values.dtype.kind == "M" else datetimes.to_dates(_objects(values))
        )
    except ValueError as exc:
        raise BadInput(f"column {name!r:.60} takes dates, but {exc}") from exc


def _objects(values: NDArray[Any]) -> list[Any]:
    """Return Python objects, except for dates: ``tolist`` would turn some of them into integers."""
    return list(values) if values.dtype.kind in "mM" else values.tolist()


def _type_name(value: object) -> str:
    return f"of type {type(value).__name__}"
