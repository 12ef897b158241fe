"""Tables of other libraries: pandas, polars, Arrow, known by their methods.  FRAMES → tables.

None of them has to be installed.  Each gives its columns as numpy arrays by its own means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadInput

#: Rows of a pandas frame that are read by their values.
FEW = 16

_INSTEAD = {
    "collect": "it is not computed yet: pass rows.collect()",
    "compute": "it is not computed yet: pass rows.compute()",
    "toarray": "it is sparse: pass rows.toarray()",
}


def read(rows: Any) -> tuple[list[Any], list[NDArray[Any]]] | None:
    """Names and columns, or None if it is no table of a library.

    Raises:
        BadInput: it has to be computed or written out first, or a column cannot be read.
    """
    for method, words in _INSTEAD.items():
        if hasattr(rows, method) and not isinstance(rows, np.ndarray):
            raise BadInput(f"a {type(rows).__name__} cannot be sent, {words}")
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        if len(rows) <= FEW:  # a column at a time costs more than all values of so few rows
            return list(rows.columns), list(rows.to_numpy(dtype=object).T)
        return list(rows.columns), [_column(name, series, _of_pandas) for name, series in rows.items()]
    if hasattr(rows, "get_column"):
        return rows.columns, [_column(name, rows.get_column(name), _of_polars) for name in rows.columns]
    if hasattr(rows, "column_names") and hasattr(rows, "column"):
        names = rows.column_names
        return names, [_column(names[i], rows.column(i), _of_arrow) for i in range(len(names))]
    if hasattr(rows, "to_numpy"):
        raise BadInput(
            f"a {type(rows).__name__} has one dimension: keep the frame, "
            "as in frame[['column']] for one column or frame.iloc[[0]] for one row"
        )
    if hasattr(rows, "__arrow_c_stream__"):
        return read(_from_stream(rows))
    return None


def numeric_array(rows: Any) -> NDArray[Any] | None:
    """What a pandas frame of numbers holds already, shape (n, d): no need to go through its columns."""
    if not hasattr(rows, "iloc") or not hasattr(rows, "columns") or hasattr(rows, "compute"):
        return None
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in rows.dtypes):
        return None
    array: NDArray[Any] = rows.to_numpy()
    return array if array.dtype.kind in "biuf" else None


def _column(name: Any, column: Any, read_one: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read_one(column)
    except Exception as exc:  # whatever its library raises for a type that numpy does not have
        dtype = getattr(column, "dtype", getattr(column, "type", "?"))
        raise BadInput(f"column {name!r:.60} of type {dtype!s:.60} cannot be sent") from exc


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
    if type(column.type).__name__ == "DictionaryType":  # whose missing values to_numpy turns into others
        column = column.cast(column.type.value_type)
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array


def _from_stream(rows: Any) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415  # of an extra
    except ImportError as exc:
        raise BadInput(
            f"a {type(rows).__name__} is read by pyarrow: pip install 'modelane[bulk]', or pass a frame"
        ) from exc
    try:
        return pa.table(rows)
    except Exception as exc:  # whatever lies behind the stream
        raise BadInput(f"a {type(rows).__name__} cannot be read as an Arrow table: {exc}") from exc
