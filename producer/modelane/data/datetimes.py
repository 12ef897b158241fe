"""Dates as they travel and as models get them: microseconds of UTC, without a zone.

A moment with a time zone is converted to UTC; one without is taken as it stands.  A date is its midnight.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

DTYPE = np.dtype("<M8[us]")

#: Units of numpy that reach further than microseconds do.
_COARSE = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms"])
_MISSING = np.datetime64("NaT", "us")


def is_missing(value: object) -> bool:
    """Whether a value says that there is none: None, NaN, NaT, ``pandas.NA``."""
    if value is None:
        return True
    if isinstance(value, str | int):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124  # NaN and NaT differ from themselves
    except (TypeError, ValueError, ArithmeticError):  # pandas.NA does not say; an array says too much
        return type(value).__name__ == "NAType"


def from_array(moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Moments of any unit, in microseconds; finer ones are cut off.

    Raises:
        ValueError: one that microseconds do not reach, before the year -290,000 or after 290,000.
    """
    converted = moments.astype(DTYPE, copy=False)
    if np.datetime_data(moments.dtype)[0] in _COARSE and not np.array_equal(
        converted.astype(moments.dtype), moments, equal_nan=True
    ):
        raise ValueError("a date is too far away")
    return converted


def to_date(value: object) -> np.datetime64:
    """One moment: an ISO 8601 string, a ``datetime`` or ``date`` (pandas' too), a ``numpy.datetime64``.

    Raises:
        ValueError: a string that is no date, one that microseconds do not reach, or another type.
        OverflowError: one that UTC does not reach.
    """
    if is_missing(value):
        return _MISSING
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, np.datetime64):
        return cast("np.datetime64", from_array(np.array([value]))[0])
    if isinstance(value, date):
        return np.datetime64(cast("Any", value), "us")
    raise ValueError(f"a {type(value).__name__} is no date")


def to_dates(values: Iterable[object]) -> NDArray[np.datetime64]:
    """A column of them, as :func:`to_date` has each.

    Raises:
        ValueError: one that is none; the sentence names its row, never the value.
    """
    dates = []
    for row, value in enumerate(values):
        try:
            dates.append(to_date(value))
        except (ValueError, OverflowError) as exc:
            kind = "no ISO 8601 date" if isinstance(value, str) else f"a {type(value).__name__}"
            raise ValueError(f"row {row} is {kind}") from exc
    return np.array(dates, dtype=DTYPE)
