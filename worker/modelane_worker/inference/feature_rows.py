"""What a batch joins and cuts: an array (n, d) if all features are numbers, else three arrays in one.

    reading → ROWS → batch → engine → the array or DataFrame that an estimator gets

Three, not one a column: what a batch does costs the same however many columns a model has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes as dates
from modelane_worker.inference import dataframes
from modelane_worker.registry.card import Feature


class Mixed(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Rows whose columns are of several kinds; within a kind, columns stand in the card's order.

    Attributes:
        numbers: float64, shape (n, number of numeric features).
        texts: object, of str and NaN, shape (n, …).
        dates: datetime64[us], shape (n, …).
    """

    numbers: NDArray[np.float64]
    texts: NDArray[Any]
    dates: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice) -> Mixed:
        return Mixed(self.numbers[rows], self.texts[rows], self.dates[rows])

    @classmethod
    def join(cls, parts: Sequence[Mixed]) -> Mixed:
        return cls(
            np.concatenate([part.numbers for part in parts]),
            np.concatenate([part.texts for part in parts]),
            np.concatenate([part.dates for part in parts]),
        )

    @classmethod
    def of(cls, columns: Sequence[NDArray[Any]], features: Sequence[Feature]) -> Mixed:
        """Of one array (n,) a feature, as :func:`frames.column` makes them."""
        kinds = Kinds(features)
        return cls(
            stacked([columns[i] for i in kinds.numbers], len(columns[0]), np.dtype(np.float64)),
            stacked([columns[i] for i in kinds.texts], len(columns[0]), np.dtype(object)),
            stacked([columns[i] for i in kinds.dates], len(columns[0]), dates.DTYPE),
        )

    def frame(self, features: Sequence[Feature]) -> Any:
        """The DataFrame (n, d) that an estimator gets."""
        kinds = Kinds(features)
        columns = {
            **dict(zip(kinds.numbers, self.numbers.T, strict=True)),
            **dict(zip(kinds.texts, self.texts.T, strict=True)),
            **dict(zip(kinds.dates, self.dates.T, strict=True)),
        }
        return dataframes.assemble({feature.name: columns[i] for i, feature in enumerate(features)})


Rows = NDArray[Any] | Mixed


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of one card below one another."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Mixed):
        return Mixed.join(cast("Sequence[Mixed]", parts))
    return np.concatenate(cast("Sequence[NDArray[Any]]", parts))


class Kinds:
    """Positions of a card's features, by what they hold."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.numbers = [i for i, feature in enumerate(features) if feature.is_numeric]
        self.texts = [i for i, feature in enumerate(features) if feature.dtype == "str"]
        self.dates = [i for i, feature in enumerate(features) if feature.dtype == "datetime64[us]"]


def stacked(columns: Sequence[NDArray[Any]], n_rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Columns side by side, shape (n, number of them), C-contiguous; there may be none."""
    array = np.empty((n_rows, len(columns)), dtype)
    for position, column in enumerate(columns):
        array[:, position] = column
    return array
