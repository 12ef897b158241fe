"""Read the tables of pandas, polars and Arrow as numpy arrays.

Tables are recognised by their methods, so none of these libraries has to be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadInput

#: Up to this number of rows, reading all values of a pandas frame is faster than reading it by column.
FEW_ROWS = 16

#: Method of a table that cannot be read as it is → why, and what to pass instead.
_INSTEAD = {
    "collect": "it is lazy: pass rows.collect()",
    "compute": "it is lazy: pass rows.compute()",
    "toarray": "it is sparse: pass rows.toarray()",
}


def read(rows: Any) -> tuple[list[Any], list[NDArray[Any]]] | None:
    """Return the column names and columns of a table.

    Args:
        rows: anything.

    Returns:
        Names and arrays of shape (n,); None if ``rows`` is not a table of these libraries.

    Raises:
        BadInput: the table is lazy, sparse or one-dimensional, or a column has a type that cannot be read.
    """
    for method, reason in _INSTEAD.items():
        if hasattr(rows, method) and not isinstance(rows, np.ndarray):
            raise BadInput(f"a {type(rows).__name__} cannot be sent, because {reason}")
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        if len(rows) <= FEW_ROWS:
            return list(rows.columns), list(rows.to_numpy(dtype=object).T)
        return list(rows.columns), [_column(name, series, _of_pandas) for name, series in rows.items()]
    if hasattr(rows, "get_column"):
        return rows.columns, [_column(name, rows.get_column(name), _of_polars) for name in rows.columns]
    if hasattr(rows, "column_names") and hasattr(rows, "column"):
        names = rows.column_names
        return names, [_column(names[i], rows.column(i), _of_arrow) for i in range(len(names))]
    if hasattr(rows, "to_numpy"):
        raise BadInput(
            f"a {type(rows).__name__} has one dimension, but rows need two: pass a frame, "
            "such as frame[['column']] for one column or frame.iloc[[0]] for one row"
        )
    if hasattr(rows, "__arrow_c_stream__"):
        return read(_from_stream(rows))
    return None


def numeric_array(rows: Any) -> NDArray[Any] | None:
    """Return the values of a pandas frame of numbers, shape (n, d), without going through its columns.

    Returns:
        None if ``rows`` is anything else.
    """
    if not hasattr(rows, "iloc") or not hasattr(rows, "columns") or hasattr(rows, "compute"):
        return None
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in rows.dtypes):
        return None
    array: NDArray[Any] = rows.to_numpy()
    return array if array.dtype.kind in "biuf" else None


def _column(name: Any, column: Any, read_one: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read_one(column)
    except Exception as exc:  # the library may raise anything for a type that numpy does not have
        dtype = getattr(column, "dtype", getattr(column, "type", "?"))
        raise BadInput(
            f"column {name!r:.60} of type {dtype!s:.60} cannot be sent: "
            "expected numbers, strings, booleans or dates"
        ) from exc


def _of_pandas(series: Any) -> NDArray[Any]:
    dtype = series.dtype
    array: NDArray[Any]
    if isinstance(dtype, np.dtype) or dtype.kind not in "biufM":
        array = series.to_numpy()
    elif dtype.kind == "M":
        array = series.to_numpy(dtype="M8[us]") if hasattr(dtype, "tz") else series.to_numpy()
    else:
        array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def _of_polars(series: Any) -> NDArray[Any]:
    array: NDArray[Any] = series.to_numpy()
    return array


def _of_arrow(column: Any) -> NDArray[Any]:
    if type(column.type).__name__ == "DictionaryType":  # to_numpy would replace its missing values
        column = column.cast(column.type.value_type)
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array


def _from_stream(rows: Any) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415  # of an extra
    except ImportError as exc:
        raise BadInput(
            f"reading a {type(rows).__name__} needs pyarrow: pip install 'modelane[bulk]', "
            "or pass a pandas or polars frame"
        ) from exc
    try:
        return pa.table(rows)
    except Exception as exc:  # the source of the stream may raise anything
        raise BadInput(f"a {type(rows).__name__} cannot be read as an Arrow table: {exc}") from exc
