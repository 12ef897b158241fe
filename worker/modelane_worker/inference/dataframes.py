"""Columns of a card's dtypes, and the DataFrame that an estimator gets of them: serving and training alike.

    dtype of a feature   in the frame       missing    takes
    float64              float64            NaN        numbers, booleans, text that spells a number
    str                  object, of str     NaN        text
    datetime64[us]       datetime64[us]     NaT        dates and ISO 8601 text (modelane.data.datetimes)

Strings are ``object`` whatever pandas' own default is: a model fitted under one pandas serves under another.
pandas is imported when the first frame is made, so that a fleet of numeric models never pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.errors import BadInput
from modelane_worker.registry.card import Feature

if TYPE_CHECKING:
    import pandas as pd

#: One column, as it came.
Values = NDArray[Any] | Sequence[Any]


def frame(columns: Mapping[str, Values], features: Sequence[Feature]) -> pd.DataFrame:
    """What an estimator is fitted on and asked with.

    Args:
        columns: values (n,) of each feature, all of one length; numbers, booleans, strings, dates or objects.
            Others are passed over.
        features: which columns, in which order.

    Raises:
        BadInput: a column is missing, or holds what its feature does not take.
    """
    if missing := [feature.name for feature in features if feature.name not in columns]:
        raise BadInput(f"no column {missing[0]!r:.60}")
    return assemble({feature.name: column(columns[feature.name], feature) for feature in features})


def assemble(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """A frame of columns that :func:`column` has made, in their order."""
    import pandas as pd  # noqa: PLC0415  # see above

    index = pd.RangeIndex(len(next(iter(columns.values()), ())))
    # A bare array of strings would become pandas' own string dtype; a series of objects stays one.
    series = [
        pd.Series(array, dtype=object, index=index) if array.dtype == object else array
        for array in columns.values()
    ]
    made = pd.DataFrame(dict(enumerate(series)), index=index)
    made.columns = pd.Index(list(columns), dtype=object)
    return made


def column(values: Values, feature: Feature) -> NDArray[Any]:
    """Values (n,) in the dtype of their feature.

    Raises:
        BadInput: one that does not fit; the sentence names its row and column, never the value.
    """
    array = values if isinstance(values, np.ndarray) else np.fromiter(values, object, len(values))
    if feature.dtype == "str":
        return _texts(array, feature.name)
    if feature.dtype == "datetime64[us]":
        return _dates(array, feature.name)
    return _numbers(array, feature.name)


def _numbers(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64, copy=False)
    numbers = np.empty(len(values))
    for row, value in enumerate(_objects(values)):
        try:
            if datetimes.is_missing(value):
                numbers[row] = np.nan
            elif isinstance(value, bytes | np.datetime64):
                raise TypeError
            else:
                numbers[row] = float(value)
        except (TypeError, ValueError, OverflowError) as exc:
            kind = "too large" if isinstance(exc, OverflowError) else _kind(value)
            raise BadInput(f"column {name!r:.60} takes numbers, row {row} is {kind}") from exc
    return numbers


def _texts(values: NDArray[Any], name: str) -> NDArray[Any]:
    texts = values.astype(object)
    for row, value in enumerate(_objects(values)):
        if isinstance(value, str):
            texts[row] = str(value)
        elif datetimes.is_missing(value):
            texts[row] = np.nan
        else:
            raise BadInput(f"column {name!r:.60} takes text, row {row} is {_kind(value)}")
    return texts


def _dates(values: NDArray[Any], name: str) -> NDArray[np.datetime64]:
    try:
        return (
            datetimes.from_array(values) if values.dtype.kind == "M" else datetimes.to_dates(_objects(values))
        )
    except ValueError as exc:
        raise BadInput(f"column {name!r:.60} takes dates, {exc}") from exc


def _objects(values: NDArray[Any]) -> list[Any]:
    """Python's own objects; numpy's for dates, which would become bare numbers."""
    return list(values) if values.dtype.kind in "mM" else values.tolist()


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
