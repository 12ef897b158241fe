"""What a column holds: numbers, dates or text.  sources → COLUMNS → table.

    given                                              becomes
    numbers, true and false, decimals                  float64
    whole numbers beyond 2**53                         text: as float64 two of them could be one
    dates, moments, strings that all are ISO 8601      datetime64[us], UTC
    strings, categories                                text
    strings of a format without types (CSV) that all
      are numbers or true and false                    float64, but text with leading zeros (00123)

A format with types is believed: a string that looks like a number stays one, since callers who send it
to the model have a string as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.errors import BadData
from modelane_training.dataset.raw import Raw
from modelane_worker.inference import typed_columns

#: Whole numbers up to here are told apart as float64.
MAX_EXACT = 2**53

#: From this share on, what is not a number among numbers is taken for a fault, not for a code.
MOSTLY = 0.9

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?i:inf|infinity)"
_DECIMAL_COMMA = r"[+-]?\d+,\d+"
_LEADING_ZERO = r"[+-]?0\d+"
_WHOLE = r"[+-]?\d{16,}"
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"
_OTHER_DATE = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
_LARGE = "has whole numbers beyond 2**53; it is text, callers send strings"


#: What pandas says of a column of objects that are all of one kind.
_UNIFORM = {
    "string": "text",
    "boolean": "number",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column, in the dtype that it has in a table."""

    values: NDArray[Any]  #: float64, object (str or NaN), or datetime64[us]
    hint: str = ""  #: what a person might not expect


def read(name: str, column: pd.Series[Any], raw: Raw) -> Column:
    """A column of a source.

    Raises:
        BadData: it mixes types, or holds none of those above; the sentence names column and rows.
    """
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return read(name, column.astype(object), raw)
    if dtype.kind in "iu":
        present = column[column.notna()].to_numpy()
        if len(present) and (present.max() > MAX_EXACT or present.min() < -MAX_EXACT):
            return _large_numbers(name, column.astype(object))
    if (typed := typed_columns.from_pandas(column)) is not None:
        return Column(typed)
    return _objects(name, column.astype(object), raw)


def _objects(name: str, column: pd.Series[Any], raw: Raw) -> Column:
    values = column.to_numpy(dtype=object, copy=True)
    kinds = _kinds(column)
    text = np.flatnonzero(kinds == "text")
    blank = [index for index in text if str(values[index]).strip() in raw.missing]
    kinds[blank] = "nothing"
    found = set(kinds.tolist()) - {"nothing"}
    if not found:
        return Column(np.full(len(values), np.nan))
    if unknown := sorted(found - {"number", "text", "date"}):
        _refuse(name, raw, kinds == unknown[0], f"a {unknown[0]}, not a number, a date or text")
    if len(found) > 1:
        rare = min(found, key=lambda kind: int((kinds == kind).sum()))
        rest = " and ".join(sorted(_plural(kind) for kind in found - {rare}))
        _refuse(name, raw, kinds == rare, f"{_plural(rare)} among {rest}")
    missing = kinds == "nothing"
    match found.pop():
        case "number":
            return _numbers(name, values, missing)
        case "date":
            values[missing] = None
            return Column(datetimes.to_dates(values))
        case _:
            return _text(name, values, missing, raw)


def _kinds(column: pd.Series[Any]) -> NDArray[Any]:
    """What each value is; an array of str, as objects."""
    if kind := _UNIFORM.get(pd.api.types.infer_dtype(column, skipna=True)):
        return np.where(column.isna(), "nothing", kind).astype(object)
    return np.array([_kind(value) for value in column], dtype=object)


def _kind(value: Any) -> str:
    if isinstance(value, str | UUID):
        return "text"
    if datetimes.is_missing(value):
        return "nothing"
    if isinstance(value, int | float | Decimal | np.number | np.bool_):
        return "number"
    if isinstance(value, date | np.datetime64):
        return "date"
    return type(value).__name__


def _plural(kind: str) -> str:
    return kind if kind == "text" else f"{kind}s"


def _numbers(name: str, values: NDArray[Any], missing: NDArray[np.bool_]) -> Column:
    present = values[~missing]
    if any(isinstance(value, int | np.integer) and abs(int(value)) > MAX_EXACT for value in present):
        return _large_numbers(name, pd.Series(values, dtype=object))
    return Column(_spread(np.array([float(value) for value in present]), ~missing))


def _large_numbers(name: str, column: pd.Series[Any]) -> Column:
    strings = [np.nan if datetimes.is_missing(value) else str(int(value)) for value in column]
    return Column(np.array(strings, dtype=object), f"column {name!r} {_LARGE}")


def _text(name: str, values: NDArray[Any], missing: NDArray[np.bool_], raw: Raw) -> Column:
    text = np.full(len(values), np.nan, dtype=object)
    text[~missing] = [str(value).strip() if raw.untyped else str(value) for value in values[~missing]]
    if name in raw.text:
        return Column(text)
    strings = _Strings(name, text[~missing], np.flatnonzero(~missing), raw)
    if raw.untyped and (numbers := strings.as_numbers()) is not None:
        return Column(_spread(numbers, ~missing))
    if (moments := strings.as_dates()) is not None:
        everywhere = np.full(len(values), np.datetime64("NaT"), dtype=datetimes.DTYPE)
        everywhere[~missing] = moments
        return Column(everywhere)
    return Column(text, strings.hint())


def _spread(values: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    everywhere = np.full(len(where), np.nan)
    everywhere[where] = values
    return everywhere


class _Strings:
    """The strings of a column, without what is missing, and what they could be."""

    def __init__(self, name: str, values: NDArray[Any], at: NDArray[np.intp], raw: Raw) -> None:
        self._name = name
        self._values = values
        self._at = at
        self._raw = raw
        self._array = pa.array(values, type=pa.large_string())

    def _match(self, pattern: str) -> NDArray[np.bool_]:
        found = pc.match_substring_regex(self._array, f"^(?:{pattern})$")
        matched: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
        return matched

    def as_numbers(self) -> NDArray[np.float64] | None:
        if self._match("(?i:true|false)").all():
            return np.array([value.lower() == "true" for value in self._values], dtype=np.float64)
        if self._match(_LEADING_ZERO).any():
            return None
        comma = self._raw.decimal != "."
        numbers = self._match(_NUMBER) | (self._match(_DECIMAL_COMMA) if comma else False)
        if numbers.all():
            if any(abs(int(value)) > MAX_EXACT for value in self._values[self._match(_WHOLE)]):
                return None
            plain = [value.replace(",", ".") for value in self._values] if comma else self._values
            return np.asarray(plain).astype(np.float64)
        with_comma = self._match(_DECIMAL_COMMA)
        if with_comma.any() and (with_comma | numbers).all():
            _refuse(
                self._name,
                self._raw,
                self._at[with_comma],
                "a decimal comma",
                f"csv(..., decimal=',') reads it, csv(..., text=({self._name!r},)) takes it as text",
            )
        if numbers.mean() >= MOSTLY:
            _refuse(
                self._name,
                self._raw,
                self._at[~numbers],
                "text among numbers",
                f"csv(..., missing=('?',)) says what stands for no value, "
                f"csv(..., text=({self._name!r},)) takes all of it as text",
            )
        return None

    def as_dates(self) -> NDArray[Any] | None:
        alike = self._match(_ISO_DATE)
        if alike.mean() < MOSTLY:
            return None
        series = pd.Series(self._values, dtype=object)
        moments = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
        wrong = moments.isna().to_numpy() | ~alike
        if wrong.any():
            _refuse(self._name, self._raw, self._at[wrong], "what is no date among dates")
        naive: NDArray[Any] = moments.dt.tz_localize(None).to_numpy(dtype=datetimes.DTYPE)
        return naive

    def hint(self) -> str:
        whole = self._match(r"[+-]?\d+")
        if self._raw.untyped and self._match(_LEADING_ZERO).any():
            return f"column {self._name!r} has numbers with leading zeros; it is text, callers send strings"
        if whole.all() and self._match(_WHOLE).any():
            return f"column {self._name!r} {_LARGE}"
        if not self._raw.untyped and self._match(_NUMBER).all():
            return f"column {self._name!r} has numbers written as strings; it is text, callers send strings"
        if self._match(_OTHER_DATE).mean() >= MOSTLY:
            return f"column {self._name!r} looks like dates; to be dates, they are written as 2026-01-31"
        return ""


def _refuse(name: str, raw: Raw, faulty: NDArray[Any], what: str, remedy: str = "") -> NoReturn:
    at = np.flatnonzero(faulty) if faulty.dtype == bool else faulty
    sentence = f"{raw.places.all(at.tolist())}: column {name!r} holds {what}"
    raise BadData(sentence + (f"; {remedy}" if remedy else ""))
