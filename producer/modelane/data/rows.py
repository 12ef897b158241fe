"""What a caller passes as rows, made ready to travel.

rows                                        travels as
array (n, d), list of rows, numeric table   a tensor (n, d), and the table's columns
table or records of several kinds           a map: column → tensor or list
list of rows of several kinds               a list of rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import dataframes
from modelane.data.tensor import Tensor
from modelane.data.values import in_few_bytes, listed, to_column, to_numbers, to_plain, travelling
from modelane.errors import BadInput

#: Rows as they travel.
Body = Tensor | list[Any] | dict[str, Tensor | list[Any]]
Columns = tuple[str, ...] | None


def to_rows(rows: Any, columns: Columns = None) -> tuple[Body, Columns, int]:
    """Rows as they travel, the names of their columns if those do not travel within, and how many there are.

    Args:
        rows: an array (n, d); a list of n rows or of n records; a map of d columns; a pandas, polars or Arrow
            table, or anything that can be read as an Arrow stream.
        columns: names in the rows' order, where rows do not name them.

    Raises:
        BadInput: not tabular, or it holds what cannot be sent; the sentence says what to pass instead.
    """
    if type(rows) is np.ndarray:  # first: a thousand times a second it is one
        return _from_array(rows, columns)
    if isinstance(rows, list | tuple):
        return _from_list(rows, columns)
    if isinstance(rows, Mapping):
        return _from_columns([*rows], [_values(name, values) for name, values in rows.items()], columns)
    if (array := dataframes.numeric_array(rows)) is not None:
        return _from_array(array, _named([*rows.columns], columns))
    if (table := dataframes.read(rows)) is not None:
        return _from_columns(*table, columns)
    return _from_array(_array(rows), columns)


def in_json(body: Body) -> Any:
    """The same rows for a message in JSON."""
    if isinstance(body, dict):
        return {name: in_json(column) for name, column in body.items()}
    return listed(body.array()) if isinstance(body, Tensor) else body


def _array(rows: Any) -> NDArray[Any]:
    if not hasattr(rows, "__array__"):
        raise BadInput(
            f"rows must have two dimensions (rows, columns): pass an array, a list of rows or of records, "
            f"or a table, not a {type(rows).__name__}"
        )
    try:
        return np.asanyarray(rows)
    except Exception as exc:  # as of tensors on a graphics card
        raise BadInput(f"a {type(rows).__name__} cannot be read as an array: {exc}") from exc


def _from_array(array: NDArray[Any], columns: Columns) -> tuple[Body, Columns, int]:
    array = travelling(array)
    if array.ndim != 2:
        raise _not_two_dimensions(array.ndim)
    if array.size == 0:
        raise BadInput("there are no columns" if len(array) else "there are no rows")
    if array.dtype.kind in "OM":
        return _from_list([list(row) for row in array], columns)
    return Tensor.of(array), columns, len(array)


def _from_list(rows: Sequence[Any], columns: Columns) -> tuple[Body, Columns, int]:
    if not rows:
        raise BadInput("there are no rows")
    if isinstance(rows[0], Mapping):
        return _from_records(rows, columns)
    if all(isinstance(row, np.ndarray) for row in rows) and len({row.shape for row in rows}) == 1:
        return _from_array(np.stack(rows), columns)
    lists = [_row(number, row) for number, row in enumerate(rows)]
    kinds = set(map(type, chain.from_iterable(lists)))
    if (array := to_numbers(lists, kinds)) is not None and array.ndim == 2:
        return Tensor.of(array), columns, len(array)
    plain = [
        [to_plain(value, f"row {number}, column", place) for place, value in enumerate(row)]
        for number, row in enumerate(lists)
    ]
    return plain, columns, len(plain)


def _row(number: int, row: Any) -> Sequence[Any]:
    if isinstance(row, list | tuple):
        return row
    if isinstance(row, np.ndarray) and row.ndim == 1:
        values: list[Any] = travelling(row).tolist()
        return values
    if isinstance(row, str | bytes) or not hasattr(row, "__iter__"):
        raise _not_two_dimensions(1)
    raise BadInput(
        f"row {number} is a {type(row).__name__}: a row is a list, a tuple, a dict or an array (d,)"
    )


def _from_records(records: Sequence[Any], columns: Columns) -> tuple[Body, Columns, int]:
    keys = records[0].keys()
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise BadInput(f"row {number} is no record, though the first one is")
        for name in keys - record.keys():
            raise BadInput(
                f"row {number} has no column {name!r:.60}, which row 0 has: pass None for a missing value"
            )
        for name in record.keys() - keys:
            raise BadInput(f"row {number} has a column {name!r:.60}, which row 0 lacks")
    body, names, n_rows = _from_columns([*keys], [[row[name] for row in records] for name in keys], columns)
    if isinstance(body, Tensor):  # that one record counts in whole numbers shall not keep it from the others
        body = Tensor.of(body.array().astype(np.float64))
    return body, names, n_rows


def _values(name: Any, values: Any) -> NDArray[Any] | Sequence[Any]:
    """A column of a map."""
    array = getattr(values, "to_numpy", lambda: values)()
    if isinstance(array, list | tuple | np.ndarray):
        return array
    raise BadInput(
        f"column {name!r:.60} is a {type(values).__name__}, not a list or an array: "
        "for one record, pass [record]"
    )


def _from_columns(
    labels: Sequence[Any], columns: Sequence[NDArray[Any] | Sequence[Any]], names: Columns
) -> tuple[Body, Columns, int]:
    names = _named(labels, names)
    if not columns:
        raise BadInput("there are no columns")
    if len(names or labels) != len(columns):
        raise BadInput(f"columns names {len(names or ())} columns, the rows have {len(columns)}")
    ready = [to_column(values, str(label)) for label, values in zip(names or labels, columns, strict=True)]
    for label, values in zip(names or labels, ready, strict=True):
        if len(values) != len(ready[0]):
            raise BadInput(
                f"column {label!r:.60} has {len(values)} values, the first column has {len(ready[0])}"
            )
    if not len(ready[0]):
        raise BadInput("there are no rows")
    arrays = [values for values in ready if isinstance(values, np.ndarray) and values.dtype.kind in "biuf"]
    if len(arrays) == len(ready):
        return Tensor.of(np.column_stack(arrays)), names, len(arrays[0])
    if names is None:
        rows = [list(row) for row in zip(*map(listed, ready), strict=True)]
        return rows, None, len(rows)
    return dict(zip(names, map(in_few_bytes, ready), strict=True)), None, len(ready[0])


def _named(labels: Sequence[Any], columns: Columns) -> Columns:
    """Names of a table's columns; labels that count them, as pandas makes them up, are none.

    Others that are no names are refused: taken by their place, they might not mean what their columns hold.
    """
    are_names = {isinstance(label, str) for label in labels}
    if True not in are_names:
        if not _is_counted(labels):
            raise BadInput(
                f"columns are named by strings, or counted from left to right; not by {labels[0]!r:.60} and "
                "the like: rename them, or pass rows.to_numpy()"
            )
        return columns
    if False in are_names:
        raise BadInput("some columns are named by strings and some are not: rename them")
    if columns is not None:
        raise BadInput("these rows name their columns themselves: leave out columns")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if list(labels).count(label) > 1)
        raise BadInput(f"a column is named twice: {twice!r:.60}")
    return tuple(map(str, labels))


def _is_counted(labels: Sequence[Any]) -> bool:
    """Whether they are whole numbers, each larger than the one before."""
    are_whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in labels)
    return are_whole and all(before < after for before, after in pairwise(labels))


def _not_two_dimensions(n: int) -> BadInput:
    hint = ": for one row, pass [row]; for one column, pass rows.reshape(-1, 1)" if n == 1 else ""
    return BadInput(f"rows must have two dimensions (rows, columns), these have {n}{hint}")
