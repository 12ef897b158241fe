"""Convert the rows that a caller passes into the form in which they are sent.

    rows                                               sent as
    array (n, d), list of rows, table of numbers       tensor (n, d), with the column names of the table
    table or records with columns of several kinds     map: column → tensor or list
    list of rows with values of several kinds          list of rows

Called by the client and the Celery tasks; the worker converts what arrives for its model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import dataframes
from modelane.data.tensor import Tensor
from modelane.data.values import to_column, to_compact, to_list, to_numbers, to_plain, to_sendable
from modelane.errors import BadInput

#: Rows in the form in which they are sent.
Body = Tensor | list[Any] | dict[str, Tensor | list[Any]]
Columns = tuple[str, ...] | None


def to_rows(rows: Any, columns: Columns = None) -> tuple[Body, Columns, int]:
    """Convert rows into the form in which they are sent.

    Args:
        rows: array (n, d); list of n rows or n records; map of d columns; pandas, polars or Arrow table, or
            anything that can be read as an Arrow stream.
        columns: names of the columns in order, if the rows do not name them.

    Returns:
        The converted rows; the names of their columns, or None if they are part of the converted rows or
        unknown; and the number of rows.

    Raises:
        BadInput: the rows are not tabular or hold values that cannot be sent; the message says what to pass
            instead.
    """
    if type(rows) is np.ndarray:  # first, because it is the most frequent case
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


def to_json(body: Body) -> Any:
    """Convert rows that :func:`to_rows` returned for a message in JSON."""
    if isinstance(body, dict):
        return {name: to_json(column) for name, column in body.items()}
    return to_list(body.array()) if isinstance(body, Tensor) else body


def _array(rows: Any) -> NDArray[Any]:
    if not hasattr(rows, "__array__"):
        raise BadInput(
            "rows must have two dimensions (rows, columns): pass an array, a list of rows or of records, "
            f"or a table, not {type(rows).__name__}"
        )
    try:
        return np.asanyarray(rows)
    except Exception as exc:  # such as for a tensor on a GPU
        raise BadInput(f"a {type(rows).__name__} cannot be read as an array: {exc}") from exc


def _from_array(array: NDArray[Any], columns: Columns) -> tuple[Body, Columns, int]:
    array = to_sendable(array)
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
        values: list[Any] = to_sendable(row).tolist()
        return values
    if isinstance(row, str | bytes) or not hasattr(row, "__iter__"):
        raise _not_two_dimensions(1)
    raise BadInput(
        f"row {number} is of type {type(row).__name__}: "
        "expected a list, a tuple, a dict or an array of shape (d,)"
    )


def _from_records(records: Sequence[Any], columns: Columns) -> tuple[Body, Columns, int]:
    keys = records[0].keys()
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise BadInput(
                f"row {number} is of type {type(record).__name__}, but row 0 is a record: "
                "expected records only"
            )
        for name in keys - record.keys():
            raise BadInput(
                f"row {number} has no column {name!r:.60}, but row 0 has it: pass None for a missing value"
            )
        for name in record.keys() - keys:
            raise BadInput(
                f"row {number} has a column {name!r:.60}, but row 0 does not: "
                "all records need the same columns"
            )
    body, names, n_rows = _from_columns([*keys], [[row[name] for row in records] for name in keys], columns)
    if isinstance(body, Tensor):  # the same dtype for all records, so that they can share a batch
        body = Tensor.of(body.array().astype(np.float64))
    return body, names, n_rows


def _values(name: Any, values: Any) -> NDArray[Any] | Sequence[Any]:
    """Return a column of a map."""
    array = getattr(values, "to_numpy", lambda: values)()
    if isinstance(array, list | tuple | np.ndarray):
        return array
    raise BadInput(
        f"column {name!r:.60} is of type {type(values).__name__}: expected a list or an array of values; "
        "for one record, pass [record]"
    )


def _from_columns(
    labels: Sequence[Any], columns: Sequence[NDArray[Any] | Sequence[Any]], names: Columns
) -> tuple[Body, Columns, int]:
    names = _named(labels, names)
    if not columns:
        raise BadInput("there are no columns")
    if len(names or labels) != len(columns):
        raise BadInput(f"columns= has {len(names or ())} names, but the rows have {len(columns)} columns")
    ready = [to_column(values, str(label)) for label, values in zip(names or labels, columns, strict=True)]
    for label, values in zip(names or labels, ready, strict=True):
        if len(values) != len(ready[0]):
            raise BadInput(
                f"column {label!r:.60} has {len(values)} values, but the first column has {len(ready[0])}"
            )
    if not len(ready[0]):
        raise BadInput("there are no rows")
    arrays = [values for values in ready if isinstance(values, np.ndarray) and values.dtype.kind in "biuf"]
    if len(arrays) == len(ready):
        return Tensor.of(np.column_stack(arrays)), names, len(arrays[0])
    if names is None:
        rows = [list(row) for row in zip(*map(to_list, ready), strict=True)]
        return rows, None, len(rows)
    return dict(zip(names, map(to_compact, ready), strict=True)), None, len(ready[0])


def _named(labels: Sequence[Any], columns: Columns) -> Columns:
    """Return the names of a table's columns, or ``columns`` if the table only numbers its columns.

    Numbers in ascending order, as pandas generates them, are not names: columns are then taken by position.
    Other labels are refused, since their order may not be the order of the model's columns.
    """
    are_names = {isinstance(label, str) for label in labels}
    if True not in are_names:
        if not _are_numbered(labels):
            raise BadInput(
                f"column {labels[0]!r:.60} is not named by a string: rename the columns, "
                "or pass rows.to_numpy() to take them by position"
            )
        return columns
    if False in are_names:
        raise BadInput("some columns are named by strings and others are not: rename the columns")
    if columns is not None:
        raise BadInput("the rows name their columns themselves: leave out columns=")
    if len(set(labels)) != len(labels):
        repeated = next(label for label in labels if list(labels).count(label) > 1)
        raise BadInput(f"two columns are named {repeated!r:.60}: rename one of them")
    return tuple(map(str, labels))


def _are_numbered(labels: Sequence[Any]) -> bool:
    """Whether the labels are integers in ascending order."""
    are_whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in labels)
    return are_whole and all(before < after for before, after in pairwise(labels))


def _not_two_dimensions(n: int) -> BadInput:
    hint = ": for one row, pass [row]; for one column, pass rows.reshape(-1, 1)" if n == 1 else ""
    return BadInput(f"rows must have two dimensions (rows, columns), but these have {n}{hint}")
