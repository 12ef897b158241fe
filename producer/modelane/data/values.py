"""Convert columns and single values: numbers and dates to arrays, everything else to lists of plain values.

In a list, a string takes its own length and a missing value one byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.data.tensor import Tensor
from modelane.errors import BadInput

#: Up to this number of values, a list of numbers is smaller and faster to read than a tensor.
FEW_VALUES = 16

_NUMBERS = frozenset([bool, int, float])
_TEXT = frozenset([str])
_MISSING = frozenset([type(None)])

#: Kind of a dtype that cannot be sent → what to do instead.
_INSTEAD = {
    "c": "pass the real and imaginary parts of complex numbers as columns",
    "m": "pass durations as numbers of seconds",
    "S": "decode bytes to strings",
    "V": "pass pandas.DataFrame(rows) or numpy.lib.recfunctions.structured_to_unstructured(rows)",
}


def to_column(values: NDArray[Any] | Sequence[Any], name: str) -> NDArray[Any] | list[Any]:
    """Convert one column.

    Args:
        values: shape (n,).
        name: name of the column, for messages.

    Returns:
        An array of numbers, booleans or dates, or a list of strings and None. The list may also mix kinds:
        the worker knows the kind of the column and names the value that does not match.

    Raises:
        BadInput: a value has a type that cannot be sent; the message names its row and column.
    """
    if isinstance(values, np.ndarray):
        array = to_sendable(values)
        if array.ndim != 1:
            raise BadInput(f"column {name!r:.60} has {array.ndim} dimensions: expected 1")
        if array.dtype.kind != "O":
            return array
        values = cast("list[Any]", array.tolist())
    if (numbers := to_numbers(values)) is not None:
        return numbers
    kinds = set(map(type, values)) - _MISSING
    if kinds <= _TEXT:
        return [*values]
    if all(issubclass(kind, date | np.datetime64) for kind in kinds):
        try:
            return datetimes.to_dates(values)
        except ValueError as exc:
            raise BadInput(f"column {name!r:.60}, {exc}") from exc
    plain = [to_plain(value, f"column {name!r:.60}, row", row) for row, value in enumerate(values)]
    numbers = to_numbers(plain)
    return plain if numbers is None else numbers


def to_numbers(values: Sequence[Any], kinds: set[type] | None = None) -> NDArray[Any] | None:
    """Convert numbers to an array.

    Args:
        values: values of one column, or rows of values.
        kinds: types that occur in ``values``; needed for rows.

    Returns:
        An array, of float64 if there are missing values (None); or None if there is anything but numbers.
    """
    kinds = set(map(type, values)) if kinds is None else kinds
    if not kinds - _MISSING or not kinds <= _NUMBERS | _MISSING:
        return None
    try:
        array = np.array(values, dtype=np.float64 if kinds >= _MISSING else None)
    except (OverflowError, ValueError):  # too large; rows of different widths
        return None
    return array if array.dtype.kind in "biuf" else None


def parse_number(text: str) -> float | None:
    """Parse a number, or ``true`` or ``false``, in the form in which files hold it.

    Returns:
        None for empty text.

    Raises:
        ValueError: the text is anything else.
    """
    text = text.strip()
    if "_" in text:
        raise ValueError("underscores in numbers are Python's own syntax")
    words = {"true": 1.0, "false": 0.0, "": None}
    return words[text.lower()] if text.lower() in words else float(text)


def to_sendable(array: NDArray[Any]) -> NDArray[Any]:
    """Convert an array to one of numbers, booleans, dates or objects.

    Raises:
        BadInput: its dtype cannot be sent; the message says what to pass instead.
    """
    kind = array.dtype.kind
    if kind in _INSTEAD:
        raise BadInput(f"arrays of dtype {array.dtype} cannot be sent: {_INSTEAD[kind]}")
    if isinstance(array, np.ma.MaskedArray):
        objects: NDArray[Any] = np.ma.getdata(array).astype(object)
        objects[np.ma.getmaskarray(array)] = None
        return objects
    if kind in "UT":
        return array.astype(object)
    if kind == "M":
        return _dates(array)
    return array.astype(np.float64) if kind == "f" and array.dtype.itemsize > 8 else array


def _dates(array: NDArray[Any]) -> NDArray[np.datetime64]:
    try:
        return datetimes.from_array(array)
    except ValueError as exc:
        raise BadInput(str(exc)) from exc


def to_plain(value: Any, where: str, position: int) -> str | bool | int | float | None:
    """Convert one value to a JSON type; dates become ISO 8601 strings in UTC.

    Args:
        value: anything.
        where: place of the value up to its position, for messages, such as ``row 3, column``.
        position: number of the value's column or row.

    Raises:
        BadInput: the number is too large, or the type cannot be sent.
    """
    if type(value) is str or type(value) is bool or datetimes.is_missing(value):
        return value if isinstance(value, str | bool) else None
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass: numpy's str_, StrEnum
    if isinstance(value, date | np.datetime64):
        try:
            return str(datetimes.to_date(value))
        except (ValueError, OverflowError) as exc:
            raise BadInput(f"{where} {position} is a date out of range") from exc
    if isinstance(value, np.generic):  # item() of a longdouble returns a longdouble
        return to_plain(float(value) if isinstance(value, np.floating) else value.item(), where, position)
    try:
        if isinstance(value, int) and -(2**63) <= value < 2**64:
            return int(value)
        if hasattr(value, "as_integer_ratio"):  # also Decimal and Fraction
            return float(value)
    except (OverflowError, ValueError) as exc:  # such as Decimal("sNaN")
        raise BadInput(f"{where} {position} is too large or not a number") from exc
    raise BadInput(
        f"{where} {position} is of type {type(value).__name__}: "
        "expected a number, string, boolean, date or None"
    )


def to_compact(column: NDArray[Any] | list[Any]) -> Tensor | list[Any]:
    """Return the smaller form in which to send a column of :func:`to_column`: tensor or list."""
    if isinstance(column, list):
        return column
    return Tensor.of(column) if len(column) > FEW_VALUES else to_list(column)


def to_list(column: NDArray[Any] | list[Any]) -> list[Any]:
    """Convert a column of :func:`to_column` to a list of plain values."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return [None if np.isnat(value) else str(value) for value in column]
    return column if isinstance(column, list) else column.tolist()
