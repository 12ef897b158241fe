"""Columns are cast to the types of the card; a value that cannot be cast spoils only its own row."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from modelane.bulk.casting import as_rows, cast_columns
from modelane.data.features import Feature
from modelane.data.rows import to_rows


def one(values: pa.Array, dtype: str, *, blank_is_missing: bool = False):
    batch = pa.RecordBatch.from_arrays([values], names=["x"])
    rows, faults = cast_columns(batch, [Feature("x", dtype)], blank_is_missing=blank_is_missing)
    return rows.column("x").to_pylist(), faults.to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None, 3]), [1.0, None, 3.0]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([Decimal("1.25")]), [1.25]),
        (pa.array([0.5], pa.float32()), [0.5]),
        (pa.array([None, None]), [None, None]),
        (pa.array(["1e3", " 2 ", "true", "FALSE", ""]), [1000.0, 2.0, 1.0, 0.0, None]),
        (pa.array(["7", "8"]).dictionary_encode(), [7.0, 8.0]),
        (pa.array(["7"], pa.large_string()), [7.0]),
    ],
)
def test_numbers_are_cast_from_many_types(values, expected):
    assert one(values, "float64") == (expected, [None] * len(expected))


def test_the_reason_does_not_show_the_value():
    values, faults = one(pa.array(["1", "secret", "0x10", "1_0"]), "float64")

    assert values == [1.0, None, None, None]
    assert faults == [None, *["column 'x' takes numbers, but the value is a string that is not a number"] * 3]


def test_text_stays_text():
    assert one(pa.array(["Bern", "", None]), "str") == (["Bern", "", None], [None] * 3)
    assert one(pa.array(["Bern", ""]), "str", blank_is_missing=True) == (["Bern", None], [None] * 2)
    assert one(pa.array([8000]), "str")[1] == ["column 'x' takes strings, but the value is a number"]


def test_dates_are_converted_to_utc():
    moment = datetime(2026, 3, 1, 12, 30)
    zurich = pa.array([moment.replace(tzinfo=UTC)], pa.timestamp("ms", "Europe/Zurich"))

    for values in (
        pa.array([moment]),
        zurich,
        pa.array(["2026-03-01T12:30"]),
        pa.array(["2026-03-01T13:30:00+01:00"]),
    ):
        assert one(values, "datetime64[us]") == ([moment], [None])
    assert one(pa.array([date(2026, 3, 1)]), "datetime64[us]")[0] == [datetime(2026, 3, 1)]
    assert one(pa.array(["yesterday"]), "datetime64[us]")[1] == [
        "column 'x' takes dates, but the value is a string that is not a date"
    ]


FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([FIRST, LAST, None], pa.timestamp("s")),
        pa.array([FIRST, LAST, None], pa.timestamp("ms")),
        pa.array([FIRST, LAST, None], pa.timestamp("us")),
        pa.array([FIRST, LAST, None], pa.timestamp("ms", "UTC")),
        pa.array(["0001-01-01", "9999-12-31T23:59:59", None]),
        pa.array(["0001-01-01T00:00+00:00", "9999-12-31T23:59:59+00:00", None]),
    ],
    ids=lambda values: str(values.type),
)
def test_dates_outside_the_range_of_nanoseconds_are_exact(values):
    assert one(values, "datetime64[us]") == ([FIRST, LAST, None], [None] * 3)


def test_such_dates_are_sent_exactly():
    batch = pa.RecordBatch.from_arrays([pa.array([FIRST, LAST], pa.timestamp("s"))], names=["x"])
    rows, _ = cast_columns(batch, [Feature("x", "datetime64[us]")], blank_is_missing=False)

    sent, *_ = to_rows(as_rows(rows), None)

    assert sent == {"x": ["0001-01-01T00:00:00.000000", "9999-12-31T23:59:59.000000"]}


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("s", "Europe/Zurich"), pa.date32(), pa.date64()],
    ids=str,
)
def test_dates_outside_the_range_of_microseconds_spoil_only_their_own_rows(kind):
    whole_days = 2**62 // 86_400_000 * 86_400_000
    stored, far = (pa.int32(), 2**31 - 1) if pa.types.is_date32(kind) else (pa.int64(), whole_days)
    values = pa.array([0, far, -far, None], stored).cast(kind)

    moments, faults = one(values, "datetime64[us]")

    assert moments == [datetime(1970, 1, 1), None, None, None]
    reason = "column 'x' takes dates, but the value is a date that is out of range"
    assert faults == [None, reason, reason, None]


def test_a_date_is_not_a_number():
    assert one(pa.array([2**62]).cast(pa.timestamp("s")), "float64")[1] == [
        "column 'x' takes numbers, but the value is a timestamp[s]"
    ]


def test_a_row_has_the_reason_of_its_first_bad_column():
    batch = pa.RecordBatch.from_pydict({"x": ["a", "1"], "y": ["b", "c"]})

    _, faults = cast_columns(
        batch, [Feature("y", "float64"), Feature("x", "float64")], blank_is_missing=False
    )

    assert [fault.split("'")[1] for fault in faults.to_pylist()] == ["y", "y"]
