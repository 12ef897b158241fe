"""The rows that a model is trained and evaluated on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_training.dataset.row_locations import BY_INDEX, RowLocations
from modelane_training.dataset.table_columns import features_of, typed_column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Typed rows and their targets; an estimator gets columns of the same dtypes when it serves.

    A source may return a table of its own instead of rows; :meth:`of` makes one.

    Attributes:
        source: where the rows are from, for people; the model's card shows it.
        features: names and dtypes, in the order of the columns of ``rows``.
        rows: (n, d); numbers are float64 (missing: NaN), strings are objects (missing: NaN), dates are
            datetime64[us] in UTC (missing: NaT).
        targets: (n,); numbers, or strings for class names. A missing target is NaN, in float64 or object.
        groups: (n,) or None; rows of the same group stay on the same side of every split.
        times: (n,) or None, datetime64[us] or float64; the latest rows are the hold-out.
        spare: (n, s) or None; columns that the recipe leaves out, but that the champion was trained on. The
            champion's predictions need them, and they still help to decide which rows are the hold-out.
        origin: (n,) or None; the index of each row in the source. None: rows are as the source gave them.
        places: where each row is in the source, by its index there.
        notes: what a person should know about the source, a sentence each.
    """

    source: str
    features: tuple[Feature, ...]
    rows: pd.DataFrame
    targets: NDArray[Any]
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    spare: pd.DataFrame | None = None
    origin: NDArray[np.intp] | None = None
    places: RowLocations = BY_INDEX
    notes: tuple[str, ...] = ()

    @classmethod
    def of(  # noqa: PLR0913  # what a table is made of
        cls,
        rows: pd.DataFrame | NDArray[Any],
        targets: Any,
        *,
        source: str = "a function",
        names: tuple[str, ...] | None = None,
        groups: NDArray[Any] | None = None,
        times: NDArray[Any] | None = None,
    ) -> Table:
        """Return a table of columns that already have a type: numbers, booleans, strings or dates.

        Args:
            rows: (n, d); strings stay strings, even if they look like numbers.
            targets: (n,); numbers, or strings for class names.
            source: where the rows are from, for people.
            names: the names of the columns if ``rows`` is an array; default: ``x0``, ``x1``, …
            groups: (n,); rows of the same group stay on the same side of every split.
            times: (n,), dates or numbers; the latest rows are the hold-out.

        Raises:
            BadData: a column has another type, or ``rows`` is not two-dimensional.

        Example:
            >>> import numpy as np
            >>> table = Table.of(np.zeros((3, 2)), ["yes", "no", "yes"], names=("age", "height"))
            >>> len(table), table.names
            (3, ('age', 'height'))
        """
        if not isinstance(rows, pd.DataFrame):
            array = np.asarray(rows)
            if array.ndim != 2:
                raise BadData(f"the rows of a table have {array.ndim} dimensions: expected 2 (rows, columns)")
            names = names or tuple(f"x{number}" for number in range(array.shape[1]))
            if len(names) != array.shape[1]:
                raise BadData(
                    f"the rows of a table have {array.shape[1]} columns, but {len(names)} names were given"
                )
            rows = pd.DataFrame(array, columns=list(names))
        typed = {number: typed_column(rows.iloc[:, number]) for number in range(rows.shape[1])}
        frame = pd.DataFrame(typed, index=pd.RangeIndex(len(rows)))
        frame.columns = pd.Index([str(name) for name in rows.columns], dtype=object)
        return cls(
            source=source,
            features=features_of(frame),
            rows=frame,
            targets=np.asarray(targets),
            groups=groups,
            times=times,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def numeric(self) -> bool:
        return all(feature.type is ColumnType.NUMBER for feature in self.features)

    def matrix(self) -> NDArray[np.float64] | pd.DataFrame:
        """Return what an estimator gets: float64 (n, d) if all columns are numbers, else the frame."""
        if self.numeric:
            return np.ascontiguousarray(self.rows.to_numpy(dtype=np.float64))
        return self.rows

    def where(self, rows: Iterable[int]) -> str:
        """Return where a few rows of this table are in the source: ``churn.csv rows 3, 9``."""
        origin = range(len(self)) if self.origin is None else self.origin
        return self.places.all([int(origin[row]) for row in rows])

    def take(self, index: NDArray[np.intp]) -> Table:
        """Return a table of the rows with these indices, in this order."""
        return replace(
            self,
            rows=self.rows.iloc[index].reset_index(drop=True),
            targets=self.targets[index],
            groups=None if self.groups is None else self.groups[index],
            times=None if self.times is None else self.times[index],
            spare=None if self.spare is None else self.spare.iloc[index].reset_index(drop=True),
            origin=index if self.origin is None else self.origin[index],
        )

    def leaving_out(self, names: Collection[str], spare: Collection[str]) -> Table:
        """Return a table without the columns ``names``; of these, those in ``spare`` become spare columns."""
        if not set(names) & set(self.names):
            return self
        kept = [name for name in self.names if name in names and name in spare]
        return replace(self.without(names), spare=self.rows[kept] if kept else None)

    def with_spare(self) -> Table:
        """Return a table in which spare columns are features again, so that the champion can predict it."""
        if self.spare is None:
            return self
        rows = pd.concat([self.rows, self.spare], axis=1)
        return replace(self, features=features_of(rows), rows=rows, spare=None)

    def without(self, names: Collection[str]) -> Table:
        """Return a table without these columns."""
        return self.only([name for name in self.names if name not in names])

    def only(self, names: Sequence[str]) -> Table:
        """Return a table of these columns, in this order."""
        features = {feature.name: feature for feature in self.features}
        return replace(self, features=tuple(features[name] for name in names), rows=self.rows[list(names)])

    def retyped(self, features: Iterable[Feature]) -> Table:
        """Return a table in which these columns, which have no values, have these dtypes."""
        rows = self.rows.astype({feature.name: feature.type.numpy_dtype for feature in features})
        return replace(self, features=features_of(rows), rows=rows)

    def sha256(self) -> str:
        """Return a digest, in hexadecimal, that changes with any name, dtype, value or order."""
        digest = hashlib.sha256(msgspec.msgpack.encode(self.features))
        for number in range(len(self.features)):
            digest.update(f"\x1e{number}".encode())
            digest.update(_bytes_of(self.rows.iloc[:, number].to_numpy()))
        digest.update(f"\x1e{self.targets.dtype.str}{self.targets.shape}".encode())
        digest.update(_bytes_of(self.targets))
        return digest.hexdigest()


def _bytes_of(values: NDArray[Any]) -> bytes:
    if values.dtype.kind in "OU":
        return msgspec.msgpack.encode(values.tolist())
    return np.ascontiguousarray(values).tobytes()
