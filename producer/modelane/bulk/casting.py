"""Columns as the model's card has them: numbers, text, dates.  read → TYPED → run.

A value that its column does not take makes its row a bad one; the reason never shows the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelane.data import datetimes
from modelane.data.features import ColumnType
from modelane.data.values import parse_number

#: What a row that is fine has for a reason.
_FINE = pa.scalar(None, pa.string())

_MOMENT = pa.timestamp("us")


def typed(
    batch: pa.RecordBatch, features: Mapping[str, str], *, blank_is_missing: bool
) -> tuple[pa.RecordBatch, pa.Array]:
    """The columns that a model takes, and for each row why it cannot be sent; missing where it can.

    Args:
        batch: has a column for each feature.
        features: name → dtype, as on the card.
        blank_is_missing: whether an empty text is a missing one.
    """
    arrays, faults = [], pa.nulls(len(batch), pa.string())
    for name, dtype in features.items():
        array = _plain(batch.column(name), blank_is_missing=blank_is_missing)
        column_type = ColumnType.named(dtype)
        converted, is_bad = _CONVERT[column_type](array)
        arrays.append(converted)
        if is_bad is not None:
            is_far = column_type is ColumnType.DATE and _is_date(array.type)
            this = "one too far away" if is_far else _kind(array.type)
            reason = f"column {name!r} {_TAKES[column_type]}, this is {this}"
            faults = pc.if_else(pc.and_(is_bad, pc.is_null(faults)), reason, faults)
    return pa.RecordBatch.from_arrays(arrays, names=list(features)), faults


_TAKES = {
    ColumnType.NUMBER: "takes numbers",
    ColumnType.STRING: "takes text",
    ColumnType.DATE: "takes dates",
}

#: Values in the type of their feature, missing where they cannot be, and which of them cannot.
_Converted = tuple[pa.Array, pa.Array | None]


def _plain(array: pa.Array, *, blank_is_missing: bool) -> pa.Array:
    """Without the ways in which a file saves space."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    if blank_is_missing and pa.types.is_string(array.type):
        array = pc.if_else(pc.equal(pc.utf8_trim_whitespace(array), ""), _FINE, array)
    return array


def _number(array: pa.Array) -> _Converted:
    kind = array.type
    if pa.types.is_string(kind):
        return _parsed(pc.utf8_trim_whitespace(array), pa.float64(), parse_number)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif not (_is_number(kind) or pa.types.is_null(kind)):
        return _none_of(array, pa.float64())
    return array.cast(pa.float64(), safe=False), None


def _text(array: pa.Array) -> _Converted:
    if pa.types.is_string(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.string()), None
    return _none_of(array, pa.string())


def _date(array: pa.Array) -> _Converted:
    kind = array.type
    if pa.types.is_string(kind):
        return _parsed(array, _MOMENT, datetimes.to_date)
    if pa.types.is_null(kind):
        return array.cast(_MOMENT), None
    if not _is_date(kind):
        return _none_of(array, _MOMENT)
    unit = "s" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(unit, "UTC"))
    array = array.cast(pa.timestamp(unit))
    moments = array.cast(_MOMENT, safe=False)  # finer ones are cut off, and what is too far away is wrong
    if unit in {"us", "ns"}:
        return moments, None
    is_bad = pc.fill_null(pc.not_equal(moments.cast(array.type, safe=False), array), False)
    return pc.if_else(is_bad, pa.scalar(None, _MOMENT), moments), is_bad


_CONVERT = {ColumnType.NUMBER: _number, ColumnType.STRING: _text, ColumnType.DATE: _date}


def _parsed(array: pa.Array, to: pa.DataType, parse: Callable[[str], Any]) -> _Converted:
    """All at once if all of them can be, else one by one."""
    try:
        return array.cast(to), None
    except pa.ArrowInvalid:
        pass
    values: list[Any] = []
    is_bad = []
    for value in array.to_pylist():
        try:
            values.append(None if value is None else parse(value))
            is_bad.append(False)
        except (ValueError, OverflowError):
            values.append(None)
            is_bad.append(True)
    return pa.array(values, to), pa.array(is_bad)


def _none_of(array: pa.Array, to: pa.DataType) -> _Converted:
    return pa.nulls(len(array), to), array.is_valid()


def _is_date(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "another text"
    return "a number" if _is_number(kind) else f"a {kind}"
