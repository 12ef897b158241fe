"""Read a request's rows, in any form that a client may send, as the rows that a model takes.

    form of the rows                          names of the columns
    tensor (n, d), list of n rows             the request's ``columns``; without them, the card's order
    list of n records, map of d columns       the records' or the map's own

An error names the row and the column that do not fit, and never shows a value: callers' data stay out of
logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.data.features import ColumnType, Feature
from modelane.data.tensor import Tensor
from modelane.errors import BadInput
from modelane_worker.inference import typed_columns
from modelane_worker.inference.mixed_rows import MixedRows, Positions, Rows, stack

_STRING_OR_NONE = frozenset([str, type(None)])


class RequestReader:
    """Reads rows for one model.

    Args:
        model: The model's name, for error messages.
        features: The features on the model's card.
    """

    def __init__(self, model: str, features: Sequence[Feature]) -> None:
        self._model = model
        self._features = tuple(features)
        self._names = tuple(feature.name for feature in features)
        self._positions = Positions(features)
        self._is_numeric = len(self._positions.numbers) == len(self._names)
        # Looked up for each request; the callers of a model use few different orders.
        self._order = lru_cache(maxsize=8)(self._order_of)

    def read(self, rows: Any, columns: tuple[str, ...] | None) -> Rows:
        """Return rows with their columns in the card's order.

        Args:
            rows: In one of the forms that the module's docstring lists.
            columns: The names of the columns, if the rows do not name them.

        Returns:
            An array, shape (n, d), if all features are numbers: in the dtype of its tensor, else float64. It
            is a view of the request if no column has to be moved.

        Raises:
            BadInput: The model does not take these rows; the message says what it expects.
        """
        if isinstance(rows, Tensor):
            return self._from_array(rows.array(), columns)
        if not rows and isinstance(rows, list | dict):
            raise BadInput("there are no rows")
        has_names = isinstance(rows, dict) or (isinstance(rows, list) and isinstance(rows[0], dict))
        if columns is not None and has_names:
            raise BadInput("the rows name their columns themselves: leave out columns=")
        if isinstance(rows, dict):
            return self._from_map(rows)
        if not isinstance(rows, list):
            raise BadInput(
                "rows must be a list of rows, a list of records, a map of columns or a tensor, "
                f"not a value of type {type(rows).__name__}"
            )
        if isinstance(rows[0], dict):
            return self._from_values([self._values(number, record) for number, record in enumerate(rows)])
        return self._from_lists(rows, columns)

    def _from_array(self, array: NDArray[Any], columns: tuple[str, ...] | None) -> Rows:
        if array.ndim != 2:
            raise BadInput(f"rows must have two dimensions (rows, columns), but these have {array.ndim}")
        if len(array) == 0:
            raise BadInput("there are no rows")
        order = None if columns is None else self._order(columns)
        if array.shape[1] != len(self._names):
            raise BadInput(f"{self._takes}, these rows have {array.shape[1]}")
        if self._is_numeric and array.dtype.kind in "biuf":
            return array if order is None else np.take(array, order, axis=1)
        positions = range(array.shape[1]) if order is None else order
        return self._from_columns([array[:, position] for position in positions])

    def _from_lists(self, rows: list[Any], columns: tuple[str, ...] | None) -> Rows:
        width = len(self._names if columns is None else columns)
        order = None if columns is None else self._order(columns)
        for number, row in enumerate(rows):
            if not isinstance(row, list):
                raise BadInput(f"row {number} is of type {type(row).__name__}: expected a list")
            if len(row) != width:
                raise BadInput(f"{self._takes}, row {number} has {len(row)}")
        return self._from_values(rows if order is None else [[row[i] for i in order] for row in rows])

    def _from_map(self, rows: dict[Any, Any]) -> Rows:
        names = tuple(rows)
        if not all(isinstance(name, str) for name in names):
            raise BadInput("the keys of a map of columns must be column names, that is strings")
        self._order(names)
        columns = [rows[name] for name in self._names]
        if set(map(type, columns)) == {list} and len(set(map(len, columns))) == 1 and columns[0]:
            return self._from_values([*zip(*columns, strict=True)])
        arrays = [_values_of(name, column) for name, column in zip(self._names, columns, strict=True)]
        for name, array in zip(self._names, arrays, strict=True):
            if len(array) != len(arrays[0]):
                raise BadInput(
                    f"column {name!r:.60} has {len(array)} values, but "
                    f"column {self._names[0]!r:.60} has {len(arrays[0])}"
                )
        if not len(arrays[0]):
            raise BadInput("there are no rows")
        return self._from_columns(arrays)

    def _from_values(self, rows: Sequence[Sequence[Any]]) -> Rows:
        """Read rows of Python objects, whose values are in the card's order."""
        try:
            if self._is_numeric:
                return _numbers(rows)
            numbers, strings, dates = (
                [[row[i] for i in positions] for row in rows]
                for positions in (self._positions.numbers, self._positions.strings, self._positions.dates)
            )
            return MixedRows(
                _numbers(numbers),
                _strings(strings),
                datetimes.to_dates(chain.from_iterable(dates)).reshape(len(rows), -1),
            )
        except (ValueError, TypeError, OverflowError):  # convert each column by itself to find the value
            return self._from_columns([[row[i] for row in rows] for i in range(len(self._names))])

    def _from_columns(self, columns: Sequence[typed_columns.Values]) -> Rows:
        """Read one column per feature, in the card's order."""
        try:
            arrays = [typed_columns.convert(*pair) for pair in zip(columns, self._features, strict=True)]
        except BadInput as error:
            raise BadInput(f"{self._model}: {error}") from error
        if self._is_numeric:
            return stack(arrays, len(arrays[0]), ColumnType.NUMBER)
        return MixedRows.of(arrays, self._features)

    def _values(self, number: int, record: Any) -> list[Any]:
        if not isinstance(record, dict):
            raise BadInput(
                f"row {number} is of type {type(record).__name__}, but row 0 is a record: "
                "expected records only"
            )
        try:
            values = [record[name] for name in self._names]
        except KeyError as exc:
            raise BadInput(f"row {number} has no column {exc}") from exc
        if len(record) > len(values):
            raise BadInput(f"row {number}: {self._unknown(record)}")
        return values

    def _order_of(self, columns: tuple[str, ...]) -> tuple[int, ...] | None:
        """Return the position of each of the card's columns, or None if they are in the card's order."""
        if columns == self._names:
            return None
        positions = {name: position for position, name in enumerate(columns)}
        if len(positions) < len(columns):
            twice = next(name for position, name in enumerate(columns) if positions[name] != position)
            raise BadInput(f"two columns are named {twice!r:.60}")
        unknown = [name for name in columns if name not in self._names]
        if missing := [name for name in self._names if name not in positions]:
            instead = f", but {unknown[0]!r:.60}" if unknown else ""
            raise BadInput(f"no column {missing[0]!r:.60}{instead}: {self._takes}")
        if unknown:
            raise BadInput(self._unknown(columns))
        return tuple(positions[name] for name in self._names)

    def _unknown(self, names: Iterable[Any]) -> str:
        unknown = [str(name) for name in names if name not in self._names]
        if not unknown:
            return "two columns have the same name"
        return f"{self._model} has no column {unknown[0]!r:.60}"

    @property
    def _takes(self) -> str:
        return f"{self._model} takes {len(self._names)} features"


def _values_of(name: str, column: Any) -> typed_columns.Values:
    """Return the values of a map's column; they are checked when they are converted."""
    values = column.array() if isinstance(column, Tensor) else column
    if isinstance(values, list) or (isinstance(values, np.ndarray) and values.ndim == 1):
        return values
    raise BadInput(
        f"column {name!r:.60} must be a list or a tensor of one dimension; for one row, send [value]"
    )


def _numbers(rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Return rows of numbers and None as an array.

    Raises:
        ValueError, TypeError, OverflowError: The rows have other values.
    """
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim != 2:  # a value is a list itself
        raise ValueError
    return array


def _strings(rows: list[list[Any]]) -> NDArray[Any]:
    """Return rows of strings and None as an array of objects.

    Raises:
        ValueError: The rows have other values.
    """
    flat = list(chain.from_iterable(rows))
    if not _STRING_OR_NONE.issuperset(map(type, flat)):
        raise ValueError
    flat = [np.nan if value is None else value for value in flat]
    return np.fromiter(flat, object, len(flat)).reshape(len(rows), -1)
