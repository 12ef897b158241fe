"""The rows that a model is trained and judged on.  sources → TABLE → check → split → features."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane.errors import BadData
from modelane_training.dataset.row_locations import BY_INDEX, Places
from modelane_worker.inference import typed_columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Rows, typed as an estimator gets them when it serves.

    Attributes:
        source: where from, in words; it goes on the card.
        features: names and dtypes, in the order of the columns of ``rows``.
        rows: (n, d); numbers as float64 (missing: NaN), strings as object (NaN), dates as
            datetime64[us] (NaT).
        targets: (n,); numbers, or strings for class names.  A missing one is NaN, in float64 or object.
        groups: (n,) or None; rows of one group stay on one side of every split.
        times: (n,) or None, datetime64[us] or float64; the latest rows are held out.
        spare: (n, s) or None; columns that the recipe leaves out, but the version in service was made of.  It
            is asked with them, and they go on deciding which rows are held out.
        origin: (n,) or None, each row's index in the source; None: as they come.
        places: names a row of the source by its index there.
        notes: what the source's reader should know, in sentences.
    """

    source: str
    features: tuple[Feature, ...]
    rows: pd.DataFrame
    targets: NDArray[Any]
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    spare: pd.DataFrame | None = None
    origin: NDArray[np.intp] | None = None
    places: Places = BY_INDEX
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
        """A table of columns that have a type already: numbers, booleans, strings or dates.

        Args:
            names: of the columns, if ``rows`` is an array.

        Raises:
            BadData: a column of another type, or rows of another shape.
        """
        if not isinstance(rows, pd.DataFrame):
            array = np.asarray(rows)
            if array.ndim != 2:
                raise BadData(f"rows must have two dimensions (rows, columns), these have {array.ndim}")
            names = names or tuple(f"x{number}" for number in range(array.shape[1]))
            if len(names) != array.shape[1]:
                raise BadData(f"rows of shape {array.shape} do not fit {len(names)} feature names")
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
        """What an estimator gets: an array (n, d) if every column is a number, else the frame."""
        if self.numeric:
            return np.ascontiguousarray(self.rows.to_numpy(dtype=np.float64))
        return self.rows

    def where(self, rows: Iterable[int]) -> str:
        """A few of these rows, named as in the source: ``churn.csv rows 3, 9``."""
        origin = range(len(self)) if self.origin is None else self.origin
        return self.places.all([int(origin[row]) for row in rows])

    def take(self, index: NDArray[np.intp]) -> Table:
        """A table of these rows, in this order; ``index`` counts them from 0."""
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
        """A table without these columns, of which some are spare."""
        if not set(names) & set(self.names):
            return self
        kept = [name for name in self.names if name in names and name in spare]
        return replace(self.without(names), spare=self.rows[kept] if kept else None)

    def with_spare(self) -> Table:
        """A table with all columns that the version in service may take."""
        if self.spare is None:
            return self
        rows = pd.concat([self.rows, self.spare], axis=1)
        return replace(self, features=features_of(rows), rows=rows, spare=None)

    def without(self, names: Collection[str]) -> Table:
        """A table without these columns."""
        return self.only([name for name in self.names if name not in names])

    def only(self, names: Sequence[str]) -> Table:
        """A table of these columns, in this order."""
        features = {feature.name: feature for feature in self.features}
        return replace(self, features=tuple(features[name] for name in names), rows=self.rows[list(names)])

    def retyped(self, features: Iterable[Feature]) -> Table:
        """A table whose columns of these names, all of them empty, have these dtypes."""
        dtypes = {feature.name: feature.type.numpy_dtype for feature in features}
        rows = self.rows.astype(dtypes)
        return replace(self, features=features_of(rows), rows=rows)

    def sha256(self) -> str:
        """Changes with any name, type, value or order."""
        digest = hashlib.sha256(msgspec.msgpack.encode(self.features))
        for number in range(len(self.features)):
            digest.update(f"\x1e{number}".encode())
            digest.update(_bytes_of(self.rows.iloc[:, number].to_numpy()))
        digest.update(f"\x1e{self.targets.dtype.str}{self.targets.shape}".encode())
        digest.update(_bytes_of(self.targets))
        return digest.hexdigest()


def features_of(rows: pd.DataFrame) -> tuple[Feature, ...]:
    """Names and dtypes of a frame whose columns :func:`typed_column` made."""
    columns = zip(rows.columns, rows.dtypes, strict=True)
    return tuple(Feature(name, ColumnType.of_array(dtype)) for name, dtype in columns)


def typed_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column in the one dtype that its kind has in a table.

    Raises:
        BadData: it holds something else than numbers, booleans, strings or dates.
    """
    if (typed := typed_columns.from_pandas(column)) is not None:
        return pd.Series(typed)
    values = column.astype(object)
    strings = values.where(values.notna(), np.nan)
    for number, value in enumerate(strings):
        if not isinstance(value, str) and not _is_missing(value):
            raise BadData(
                f"row {number}, column {column.name!r} holds a {type(value).__name__}; "
                "a column holds numbers, booleans, strings or dates"
            )
    return pd.Series(strings.to_numpy(dtype=object), dtype=object)


def _is_missing(value: Hashable) -> bool:
    return isinstance(value, float) and np.isnan(value)


def _bytes_of(values: NDArray[Any]) -> bytes:
    if values.dtype.kind in "OU":
        return msgspec.msgpack.encode(values.tolist())
    return np.ascontiguousarray(values).tobytes()
