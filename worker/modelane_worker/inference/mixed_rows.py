"""Rows as a batch joins and slices them: one array if all features are numbers, else one array per type.

A batch of mixed rows costs three concatenations however many columns a model has. The request reader makes
the rows; the engine turns them into the array or DataFrame that the estimator takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane_worker.inference import feature_frame


class MixedRows(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Rows with columns of several types; columns of one type are in the card's order.

    Attributes:
        numbers: float64, shape (n, number of numeric features).
        strings: object, of str and NaN, shape (n, number of string features).
        dates: datetime64[us], shape (n, number of date features).
    """

    numbers: NDArray[np.float64]
    strings: NDArray[Any]
    dates: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice) -> MixedRows:
        return MixedRows(self.numbers[rows], self.strings[rows], self.dates[rows])

    @classmethod
    def join(cls, parts: Sequence[MixedRows]) -> MixedRows:
        return cls(
            np.concatenate([part.numbers for part in parts]),
            np.concatenate([part.strings for part in parts]),
            np.concatenate([part.dates for part in parts]),
        )

    @classmethod
    def of(cls, columns: Sequence[NDArray[Any]], features: Sequence[Feature]) -> MixedRows:
        """Make rows of one array, shape (n,), per feature, as :func:`typed_columns.convert` returns them."""
        positions, n_rows = Positions(features), len(columns[0])
        return cls(
            stack([columns[i] for i in positions.numbers], n_rows, ColumnType.NUMBER),
            stack([columns[i] for i in positions.strings], n_rows, ColumnType.STRING),
            stack([columns[i] for i in positions.dates], n_rows, ColumnType.DATE),
        )

    def frame(self, features: Sequence[Feature]) -> Any:
        """Return the DataFrame, shape (n, d), that an estimator takes."""
        positions = Positions(features)
        columns = {
            **dict(zip(positions.numbers, self.numbers.T, strict=True)),
            **dict(zip(positions.strings, self.strings.T, strict=True)),
            **dict(zip(positions.dates, self.dates.T, strict=True)),
        }
        return feature_frame.assemble({feature.name: columns[i] for i, feature in enumerate(features)})


#: Rows of one model: shape (n, d) if all of its features are numbers.
Rows = NDArray[Any] | MixedRows


def join(parts: Sequence[Rows]) -> Rows:
    """Concatenate rows of the same model."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], MixedRows):
        return MixedRows.join(cast("Sequence[MixedRows]", parts))
    return np.concatenate(cast("Sequence[NDArray[Any]]", parts))


class Positions:
    """Where the features of each type are among a card's features."""

    def __init__(self, features: Sequence[Feature]) -> None:
        types = [feature.type for feature in features]
        self.numbers = [i for i, each in enumerate(types) if each is ColumnType.NUMBER]
        self.strings = [i for i, each in enumerate(types) if each is ColumnType.STRING]
        self.dates = [i for i, each in enumerate(types) if each is ColumnType.DATE]


def stack(columns: Sequence[NDArray[Any]], n_rows: int, column_type: ColumnType) -> NDArray[Any]:
    """Return columns side by side: shape (n_rows, number of columns), C-contiguous."""
    array = np.empty((n_rows, len(columns)), column_type.numpy_dtype)
    for position, column in enumerate(columns):
        array[:, position] = column
    return array
