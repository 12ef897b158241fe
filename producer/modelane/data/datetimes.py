"""Convert dates and times to the form in which they are sent and models get them: UTC, in microseconds.

A time with a time zone is converted to UTC; one without is taken as UTC. A date is its midnight.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

DTYPE = np.dtype("<M8[us]")

#: Units of numpy with a larger range than microseconds.
_COARSE = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms"])
_MISSING = np.datetime64("NaT", "us")
_OUT_OF_RANGE = "a date is out of range: expected a year from -290,000 to 290,000"


def is_missing(value: object) -> bool:
    """Whether a value stands for a missing one: None, NaN, NaT or ``pandas.NA``."""
    if value is None:
        return True
    if isinstance(value, str | int):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124  # NaN and NaT differ from themselves
    except (TypeError, ValueError, ArithmeticError):  # pandas.NA and arrays have no truth value
        return type(value).__name__ == "NAType"


def from_array(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Convert dates of any unit to microseconds; fractions of a microsecond are truncated.

    Raises:
        ValueError: a date is out of range.
    """
    converted = dates.astype(DTYPE, copy=False)
    if np.datetime_data(dates.dtype)[0] in _COARSE and not np.array_equal(
        converted.astype(dates.dtype), dates, equal_nan=True
    ):
        raise ValueError(_OUT_OF_RANGE)
    return converted


def to_date(value: object) -> np.datetime64:
    """Convert one date.

    Args:
        value: ISO 8601 string, ``datetime`` or ``date`` (also of pandas), ``numpy.datetime64``, or a missing
            value.

    Raises:
        ValueError: the value is not a date, or out of the range of microseconds.
        OverflowError: the date is out of range in UTC.
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
    raise ValueError(f"a {type(value).__name__} is not a date")


def to_dates(values: Iterable[object]) -> NDArray[np.datetime64]:
    """Convert a column of dates with :func:`to_date`.

    Raises:
        ValueError: a value is not a date or out of range; the message names its row and never the value.
    """
    dates = []
    for row, value in enumerate(values):
        try:
            dates.append(to_date(value))
        except (ValueError, OverflowError) as exc:
            raise ValueError(f"row {row} is {_reason(value)}") from exc
    return np.array(dates, dtype=DTYPE)


def _reason(value: object) -> str:
    if isinstance(value, str):
        return "not an ISO 8601 date"
    return (
        "a date out of range"
        if isinstance(value, date | np.datetime64)
        else f"of type {type(value).__name__}"
    )
