"""A request's rows, in whatever form they came, as what the model takes.  request → READING → batch.

    rows                                      names of the columns
    tensor (n, d), list of n rows             ``columns``, or none: the card's order
    list of n records, map of d columns       their own

Whatever is refused is refused in a sentence that names row and column, and never shows a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.data.tensor import Tensor
from modelane.errors import BadInput
from modelane_worker.inference import dataframes
from modelane_worker.inference.feature_rows import Kinds, Mixed, Rows, stacked
from modelane_worker.registry.card import Feature

_TEXT = frozenset([str, type(None)])


class Reader:
    """Knows the columns of one model.

    Args:
        model: its name, for sentences.
        features: of its card.
    """

    def __init__(self, model: str, features: Sequence[Feature]) -> None:
        self._model = model
        self._features = tuple(features)
        self._names = tuple(feature.name for feature in features)
        self._kinds = Kinds(features)
        self._is_numeric = len(self._kinds.numbers) == len(self._names)
        # Asked once a request, about the same few orders.
        self._order = lru_cache(maxsize=8)(self._order_of)

    def read(self, rows: Any, columns: tuple[str, ...] | None) -> Rows:
        """Rows in the card's order.

        Returns:
            For a card of numbers an array (n, d), in the dtype of its tensor or float64; a view if nothing
            had to be moved.

        Raises:
            BadInput: rows that the model does not take; the sentence says what it expects.
        """
        if isinstance(rows, Tensor):
            return self._from_array(rows.array(), columns)
        if not rows and isinstance(rows, list | dict):
            raise BadInput("there are no rows")
        names_itself = isinstance(rows, dict) or (isinstance(rows, list) and isinstance(rows[0], dict))
        if columns is not None and names_itself:
            raise BadInput("these rows name their columns themselves: leave out columns")
        if isinstance(rows, dict):
            return self._from_map(rows)
        if not isinstance(rows, list):
            raise BadInput("rows must be a list of rows or of records, a map of columns, or a tensor")
        if isinstance(rows[0], dict):
            return self._from_values([self._values(number, record) for number, record in enumerate(rows)])
        return self._from_lists(rows, columns)

    def _from_array(self, array: NDArray[Any], columns: tuple[str, ...] | None) -> Rows:
        if array.ndim != 2:
            raise BadInput(f"rows must have two dimensions (rows, columns), these have {array.ndim}")
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
            if not isinstance(row, list) or len(row) != width:
                got = f"has {len(row)}" if isinstance(row, list) else "is no list"
                raise BadInput(f"{self._takes}, row {number} {got}")
        return self._from_values(rows if order is None else [[row[i] for i in order] for row in rows])

    def _from_map(self, rows: dict[Any, Any]) -> Rows:
        names = tuple(rows)
        if not all(isinstance(name, str) for name in names):
            raise BadInput("rows are a map whose keys are no names of columns")
        self._order(names)
        columns = [rows[name] for name in self._names]
        if set(map(type, columns)) == {list} and len(set(map(len, columns))) == 1 and columns[0]:
            return self._from_values([*zip(*columns, strict=True)])
        arrays = [_values_of(name, column) for name, column in zip(self._names, columns, strict=True)]
        for name, array in zip(self._names, arrays, strict=True):
            if len(array) != len(arrays[0]):
                raise BadInput(
                    f"column {name!r:.60} has {len(array)} values, "
                    f"column {self._names[0]!r:.60} has {len(arrays[0])}"
                )
        if not len(arrays[0]):
            raise BadInput("there are no rows")
        return self._from_columns(arrays)

    def _from_values(self, rows: Sequence[Sequence[Any]]) -> Rows:
        """Rows of Python's own values, in the card's order, each as wide as the card."""
        try:
            if self._is_numeric:
                return _numbers(rows)
            numbers, texts, moments = (
                [[row[i] for i in positions] for row in rows]
                for positions in (self._kinds.numbers, self._kinds.texts, self._kinds.dates)
            )
            return Mixed(
                _numbers(numbers),
                _texts(texts),
                datetimes.to_dates(chain.from_iterable(moments)).reshape(len(rows), -1),
            )
        except (ValueError, TypeError, OverflowError):  # one by one, it is found which value it is
            return self._from_columns([[row[i] for row in rows] for i in range(len(self._names))])

    def _from_columns(self, columns: Sequence[dataframes.Values]) -> Rows:
        """A column a feature, in the card's order."""
        try:
            arrays = [dataframes.column(*pair) for pair in zip(columns, self._features, strict=True)]
        except BadInput as error:
            raise BadInput(f"{self._model}: {error}") from error
        if self._is_numeric:
            return stacked(arrays, len(arrays[0]), np.dtype(np.float64))
        return Mixed.of(arrays, self._features)

    def _values(self, number: int, record: Any) -> list[Any]:
        if not isinstance(record, dict):
            raise BadInput(f"row {number} is no record, though the first one is")
        try:
            values = [record[name] for name in self._names]
        except KeyError as exc:
            raise BadInput(f"row {number} has no column {exc}") from exc
        if len(record) > len(values):
            raise BadInput(f"row {number}: {self._unknown(record)}")
        return values

    def _order_of(self, columns: tuple[str, ...]) -> tuple[int, ...] | None:
        """Where each of the card's columns stands; None if each stands where the card has it."""
        if columns == self._names:
            return None
        where = {name: position for position, name in enumerate(columns)}
        if len(where) < len(columns):
            twice = next(name for position, name in enumerate(columns) if where[name] != position)
            raise BadInput(f"a column is named twice: {twice!r:.60}")
        unknown = [name for name in columns if name not in self._names]
        if missing := [name for name in self._names if name not in where]:
            instead = f", but {unknown[0]!r:.60}" if unknown else ""
            raise BadInput(f"no column {missing[0]!r:.60}{instead}: {self._takes}")
        if unknown:
            raise BadInput(self._unknown(columns))
        return tuple(where[name] for name in self._names)

    def _unknown(self, names: Iterable[Any]) -> str:
        unknown = [str(name) for name in names if name not in self._names]
        if not unknown:
            return "a column is named twice"
        return f"{self._model} has no column {unknown[0]!r:.60}"

    @property
    def _takes(self) -> str:
        return f"{self._model} takes {len(self._names)} features"


def _values_of(name: str, column: Any) -> dataframes.Values:
    """A column of a map, not looked into yet."""
    values = column.array() if isinstance(column, Tensor) else column
    if isinstance(values, list) or (isinstance(values, np.ndarray) and values.ndim == 1):
        return values
    raise BadInput(f"column {name!r:.60} must be a list or a tensor of one dimension; of one row: [value]")


def _numbers(rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Raises ValueError, TypeError, OverflowError: something else than numbers and None."""
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim != 2:  # lists within
        raise ValueError
    return array


def _texts(rows: list[list[Any]]) -> NDArray[Any]:
    """Raises ValueError: something else than text and None."""
    flat = list(chain.from_iterable(rows))
    if not _TEXT.issuperset(map(type, flat)):
        raise ValueError
    flat = [np.nan if value is None else value for value in flat]
    return np.fromiter(flat, object, len(flat)).reshape(len(rows), -1)
