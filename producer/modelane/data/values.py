"""Values of a caller, made ready to travel: numbers and dates as arrays, the rest as lists of plain values.

tables → COLUMNS → tensors.  A list of strings takes what its strings take, and a missing value one byte.
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

#: Values up to which a list of numbers is smaller, and sooner read, than a tensor.
FEW = 16

_NUMBERS = frozenset([bool, int, float])
_TEXT = frozenset([str])
_NOTHING = frozenset([type(None)])

_REFUSED = {
    "c": "complex numbers: pass their parts as columns",
    "m": "durations: pass seconds, as numbers",
    "S": "bytes: decode them to strings",
    "V": "records: pass pandas.DataFrame(rows) or numpy.lib.recfunctions.structured_to_unstructured(rows)",
}


def to_column(values: NDArray[Any] | Sequence[Any], name: str) -> NDArray[Any] | list[Any]:
    """One column (n,): an array of numbers, booleans or dates, or a list of strings and None.

    A list may also hold what does not fit together: the worker, who knows the column, says which value it is.

    Raises:
        BadInput: a value of a type that does not travel; the sentence names its row and column.
    """
    if isinstance(values, np.ndarray):
        array = travelling(values)
        if array.ndim != 1:
            raise BadInput(f"column {name!r:.60} has {array.ndim} dimensions, not one")
        if array.dtype.kind != "O":
            return array
        values = cast("list[Any]", array.tolist())
    if (numbers := to_numbers(values)) is not None:
        return numbers
    kinds = set(map(type, values)) - _NOTHING
    if kinds <= _TEXT:
        return [*values]
    if all(issubclass(kind, date | np.datetime64) for kind in kinds):
        try:
            return datetimes.to_dates(values)
        except ValueError as exc:
            raise BadInput(f"column {name!r:.60}, {exc} that cannot be sent") from exc
    plain = [to_plain(value, f"column {name!r:.60}, row", row) for row, value in enumerate(values)]
    numbers = to_numbers(plain)
    return plain if numbers is None else numbers


def to_numbers(values: Sequence[Any], kinds: set[type] | None = None) -> NDArray[Any] | None:
    """An array, if there are numbers and nothing else but None; then it is of float64.

    Args:
        kinds: types that occur in ``values``, if these are rows of values.
    """
    kinds = set(map(type, values)) if kinds is None else kinds
    if not kinds - _NOTHING or not kinds <= _NUMBERS | _NOTHING:
        return None
    try:
        array = np.array(values, dtype=np.float64 if kinds >= _NOTHING else None)
    except (OverflowError, ValueError):  # too large; rows of different widths
        return None
    return array if array.dtype.kind in "biuf" else None


def number_of(text: str) -> float | None:
    """A number, or a truth, as files write it; None if there is none.

    Raises:
        ValueError: it is something else.
    """
    text = text.strip()
    if "_" in text:
        raise ValueError("Python's own way to write a number, and nobody else's")
    truth = {"true": 1.0, "false": 0.0, "": None}
    return truth[text.lower()] if text.lower() in truth else float(text)


def travelling(array: NDArray[Any]) -> NDArray[Any]:
    """An array of numbers, booleans, dates, or objects.

    Raises:
        BadInput: of something else; the sentence says what to pass instead.
    """
    kind = array.dtype.kind
    if kind in _REFUSED:
        raise BadInput(f"arrays of dtype {array.dtype} cannot be sent, {_REFUSED[kind]}")
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
    """A value as JSON knows it; dates become ISO 8601 strings, in UTC.

    Raises:
        BadInput: it is too large, or of a type that does not travel.
    """
    if type(value) is str or type(value) is bool or datetimes.is_missing(value):
        return value if isinstance(value, str | bool) else None
    if isinstance(value, str):
        return str.__str__(value)  # numpy's, and those of enumerations
    if isinstance(value, date | np.datetime64):
        try:
            return str(datetimes.to_date(value))
        except (ValueError, OverflowError) as exc:
            raise BadInput(f"{where} {position} is a date too far away") from exc
    if isinstance(value, np.generic):  # of a longdouble, item() is a longdouble again
        return to_plain(float(value) if isinstance(value, np.floating) else value.item(), where, position)
    try:
        if isinstance(value, int) and -(2**63) <= value < 2**64:
            return int(value)
        if hasattr(value, "as_integer_ratio"):  # decimals and fractions too
            return float(value)
    except (OverflowError, ValueError) as exc:  # such as a signalling NaN of decimals
        raise BadInput(f"{where} {position} is too large, or no number") from exc
    raise BadInput(f"{where} {position} is a {type(value).__name__}: use numbers, strings, dates or None")


def in_few_bytes(column: NDArray[Any] | list[Any]) -> Tensor | list[Any]:
    """As it travels beside other columns."""
    if isinstance(column, list):
        return column
    return Tensor.of(column) if len(column) > FEW else listed(column)


def listed(column: NDArray[Any] | list[Any]) -> list[Any]:
    """A column of :func:`to_column` as a list of plain values."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return [None if np.isnat(moment) else str(moment) for moment in column]
    return column if isinstance(column, list) else column.tolist()
