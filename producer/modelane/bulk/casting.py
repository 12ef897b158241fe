"""Cast the columns of a batch to the types on the model's card: numbers, text, dates.

A value that cannot be cast marks its row as faulty. The reason never contains the value, which may be
confidential.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelane.data import datetimes
from modelane.data.features import ColumnType, Feature
from modelane.data.values import parse_number

_NULL_TEXT = pa.scalar(None, pa.string())

_DATE = pa.timestamp("us")

_TYPE_NAMES = {ColumnType.NUMBER: "number", ColumnType.STRING: "string", ColumnType.DATE: "date"}

#: Values in the type of their feature, null where they cannot be cast, and a mask of those; None: all were
#: cast.
_Cast = tuple[pa.Array, pa.Array | None]


def cast_columns(
    batch: pa.RecordBatch, features: Sequence[Feature], *, blank_is_missing: bool
) -> tuple[pa.RecordBatch, pa.Array]:
    """Return the columns of the model, and for each row why it cannot be sent; null where it can.

    Args:
        batch: has a column for each feature.
        features: the columns of the model, as on the card.
        blank_is_missing: whether an empty text is a missing value.
    """
    arrays, faults = [], pa.nulls(len(batch), pa.string())
    for feature in features:
        array = _decoded(batch.column(feature.name), blank_is_missing=blank_is_missing)
        values, is_bad = _CAST[feature.type](array)
        arrays.append(values)
        if is_bad is not None:
            takes, found = f"{_TYPE_NAMES[feature.type]}s", _describe(array.type, feature.type)
            reason = f"column {feature.name!r} takes {takes}, but the value is {found}"
            faults = pc.if_else(pc.and_(is_bad, pc.is_null(faults)), reason, faults)
    return pa.RecordBatch.from_arrays(arrays, names=[feature.name for feature in features]), faults


def as_rows(batch: pa.RecordBatch) -> Any:
    """Return rows for the client: a float64 array (n, d) if all columns are numbers, else the batch."""
    if all(pa.types.is_float64(kind) for kind in batch.schema.types):
        rows = np.empty((len(batch), batch.num_columns))
        for n, array in enumerate(batch.columns):
            rows[:, n] = array.to_numpy(zero_copy_only=False)  # missing values become NaN
        return rows
    return batch


def _decoded(array: pa.Array, *, blank_is_missing: bool) -> pa.Array:
    """Return an array without the encodings that save space in a file."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    if blank_is_missing and pa.types.is_string(array.type):
        array = pc.if_else(pc.equal(pc.utf8_trim_whitespace(array), ""), _NULL_TEXT, array)
    return array


def _to_number(array: pa.Array) -> _Cast:
    kind = array.type
    if pa.types.is_string(kind):
        return _parsed(pc.utf8_trim_whitespace(array), pa.float64(), parse_number)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif not (_is_number(kind) or pa.types.is_null(kind)):
        return _all_bad(array, pa.float64())
    return array.cast(pa.float64(), safe=False), None


def _to_string(array: pa.Array) -> _Cast:
    if pa.types.is_string(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.string()), None
    return _all_bad(array, pa.string())


def _to_date(array: pa.Array) -> _Cast:
    kind = array.type
    if pa.types.is_string(kind):
        return _parsed(array, _DATE, datetimes.to_date)
    if pa.types.is_null(kind):
        return array.cast(_DATE), None
    if not _is_date(kind):
        return _all_bad(array, _DATE)
    unit = "s" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(unit, "UTC"))
    array = array.cast(pa.timestamp(unit))
    dates = array.cast(_DATE, safe=False)  # truncates nanoseconds; seconds and milliseconds may overflow
    if unit in {"us", "ns"}:
        return dates, None
    is_bad = pc.fill_null(pc.not_equal(dates.cast(array.type, safe=False), array), False)
    return pc.if_else(is_bad, pa.scalar(None, _DATE), dates), is_bad


_CAST = {ColumnType.NUMBER: _to_number, ColumnType.STRING: _to_string, ColumnType.DATE: _to_date}


def _parsed(array: pa.Array, to: pa.DataType, parse: Callable[[str], Any]) -> _Cast:
    """Cast texts with pyarrow; if it refuses one, parse them one by one."""
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


def _all_bad(array: pa.Array, to: pa.DataType) -> _Cast:
    return pa.nulls(len(array), to), array.is_valid()


def _is_date(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _describe(kind: pa.DataType, wanted: ColumnType) -> str:
    """Return what a value that could not be cast is, for the reason."""
    if pa.types.is_string(kind):
        return f"a string that is not a {_TYPE_NAMES[wanted]}"
    if _is_date(kind) and wanted is ColumnType.DATE:
        return "a date that is out of range"
    return "a number" if _is_number(kind) else f"a {kind}"
