"""Infer whether a column of strings holds numbers, dates or strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.errors import BadData
from modelane_training.dataset.raw import Raw

#: The largest whole number that float64 tells from its neighbours.
MAX_EXACT = 2**53

#: If at least this share of a column are numbers (or dates), the other values are refused as faults. With a
#: smaller share the column is taken for strings, such as product codes.
_MOSTLY = 0.9

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?i:inf|infinity)"
_DECIMAL_COMMA = r"[+-]?\d+,\d+"
_LEADING_ZERO = r"[+-]?0\d+"
_WHOLE = r"[+-]?\d+"
_LONG_WHOLE = r"[+-]?\d{16,}"
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"
_OTHER_DATE = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"

_AS_STRINGS = "it is read as strings, and requests must send strings"
LARGE_NUMBERS = f"has whole numbers beyond 2**53: {_AS_STRINGS}"

#: Characters of a value that an error shows.
_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """The values of a column, in the dtype that it has in a table."""

    values: NDArray[Any]  #: (n,); float64, object (str, or NaN for a missing value), or datetime64[us]
    note: str = ""  #: what a person might not expect of the dtype; empty if there is nothing to say


def infer_strings(name: str, values: NDArray[Any], missing: NDArray[np.bool_], raw: Raw) -> InferredColumn:
    """Convert a column of strings.

    Args:
        name: the column's name.
        values: (n,); what is not missing is a string, or an object that becomes one.
        missing: (n,); which values are missing.
        raw: the source's data.

    Raises:
        BadData: nearly all strings are numbers or dates, and the rest are not.
    """
    strings = np.full(len(values), np.nan, dtype=object)
    strings[~missing] = [str(value).strip() if raw.untyped else str(value) for value in values[~missing]]
    if name in raw.text:
        return InferredColumn(strings)
    present = _Strings(name, strings[~missing], np.flatnonzero(~missing), raw)
    if raw.untyped and (parsed := present.as_numbers()) is not None:
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = parsed
        return InferredColumn(numbers)
    if (parsed_dates := present.as_dates()) is not None:
        dates = np.full(len(values), np.datetime64("NaT"), dtype=datetimes.DTYPE)
        dates[~missing] = parsed_dates
        return InferredColumn(dates)
    return InferredColumn(strings, present.note())


def column_error(  # noqa: PLR0913  # what the sentence is made of
    name: str, raw: Raw, rows: NDArray[np.intp], example: Any, *, found: str, remedy: str
) -> BadData:
    """Return the error for values that a column must not have.

    Args:
        name: the column's name.
        raw: the source's data, which knows where its rows are.
        rows: indices of the faulty values.
        example: one of these values.
        found: what they are, for people.
        remedy: what was expected, and what to do.
    """
    shown = repr(example) if isinstance(example, str) else str(example)
    shown = shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}…"
    return BadData(f"{raw.places.all(rows.tolist())}: column {name!r} has {found}, such as {shown}; {remedy}")


class _Strings:
    """The strings of a column that are not missing, and the indices of their rows in the column."""

    def __init__(self, name: str, values: NDArray[Any], rows: NDArray[np.intp], raw: Raw) -> None:
        self._name = name
        self._values = values
        self._rows = rows
        self._raw = raw
        self._array = pa.array(values, type=pa.large_string())

    def _match(self, pattern: str) -> NDArray[np.bool_]:
        found = pc.match_substring_regex(self._array, f"^(?:{pattern})$")
        matched: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
        return matched

    def _error(self, faulty: NDArray[np.bool_], found: str, remedy: str) -> BadData:
        if self._raw.untyped:
            remedy += f"; to read the column as strings, pass text=({self._name!r},) to csv()"
        example = self._values[faulty][0]
        return column_error(self._name, self._raw, self._rows[faulty], example, found=found, remedy=remedy)

    def as_numbers(self) -> NDArray[np.float64] | None:
        """Parse numbers or booleans; return None if the column is to stay strings."""
        if self._match("(?i:true|false)").all():
            return np.array([value.lower() == "true" for value in self._values], dtype=np.float64)
        if self._match(_LEADING_ZERO).any():
            return None
        comma = self._raw.decimal != "."
        numbers = self._match(_NUMBER) | (self._match(_DECIMAL_COMMA) if comma else False)
        if numbers.all():
            if any(abs(int(value)) > MAX_EXACT for value in self._values[self._match(_LONG_WHOLE)]):
                return None
            plain = [value.replace(",", ".") for value in self._values] if comma else self._values
            return np.asarray(plain).astype(np.float64)
        with_comma = self._match(_DECIMAL_COMMA)
        if with_comma.any() and (with_comma | numbers).all():
            raise self._error(
                with_comma,
                "numbers with a decimal comma",
                "to read them as numbers, pass decimal=',' to csv()",
            )
        if numbers.mean() >= _MOSTLY:
            example = self._values[~numbers][0]
            raise self._error(
                ~numbers,
                "strings among numbers",
                f"to read such values as missing, pass missing=({example!r:.{_SHOWN_CHARS}},) to csv()",
            )
        return None

    def as_dates(self) -> NDArray[Any] | None:
        """Parse ISO 8601 dates; return None if the column is to stay strings."""
        look_alike = self._match(_ISO_DATE)
        if look_alike.mean() < _MOSTLY:
            return None
        series = pd.Series(self._values, dtype=object)
        parsed = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
        wrong = parsed.isna().to_numpy() | ~look_alike
        if wrong.any():
            raise self._error(
                wrong,
                "values among dates that are not dates",
                "expected ISO 8601 dates such as 2026-01-31: correct these rows",
            )
        dates: NDArray[Any] = parsed.dt.tz_localize(None).to_numpy(dtype=datetimes.DTYPE)
        return dates

    def note(self) -> str:
        """Return what a person might not expect: strings that look like numbers or dates."""
        if self._raw.untyped and self._match(_LEADING_ZERO).any():
            return f"column {self._name!r} has numbers with leading zeros: {_AS_STRINGS}"
        if self._match(_WHOLE).all() and self._match(_LONG_WHOLE).any():
            return f"column {self._name!r} {LARGE_NUMBERS}"
        if not self._raw.untyped and self._match(_NUMBER).all():
            return f"column {self._name!r} has numbers written as strings: {_AS_STRINGS}"
        if self._match(_OTHER_DATE).mean() >= _MOSTLY:
            return (
                f"column {self._name!r} looks like dates that are not in ISO 8601: it is read as strings; "
                "write them as 2026-01-31 to have them read as dates"
            )
        return ""
