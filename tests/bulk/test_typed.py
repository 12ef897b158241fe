"""Columns as the card has them; a value that does not fit makes its row a bad one, and no other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from modelane.bulk.typed import typed


def one(values: pa.Array, dtype: str, *, blank_is_missing: bool = False):
    batch = pa.RecordBatch.from_arrays([values], names=["x"])
    rows, faults = typed(batch, {"x": dtype}, blank_is_missing=blank_is_missing)
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
def test_numbers_come_in_many_forms(values, expected):
    assert one(values, "float64") == (expected, [None] * len(expected))


def test_what_is_no_number_is_told_without_being_shown():
    values, faults = one(pa.array(["1", "secret", "0x10", "1_0"]), "float64")

    assert values == [1.0, None, None, None]
    assert faults == [None, *["column 'x' takes numbers, this is another text"] * 3]


def test_text_is_text():
    assert one(pa.array(["Bern", "", None]), "str") == (["Bern", "", None], [None] * 3)
    assert one(pa.array(["Bern", ""]), "str", blank_is_missing=True) == (["Bern", None], [None] * 2)
    assert one(pa.array([8000, None]), "str")[1] == ["column 'x' takes text, this is a number", None]


def test_dates_are_moments_of_utc():
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
        "column 'x' takes dates, this is another text"
    ]


def test_the_first_reason_of_a_row_stands():
    batch = pa.RecordBatch.from_pydict({"x": ["a", "1"], "y": ["b", "c"]})

    _, faults = typed(batch, {"y": "float64", "x": "float64"}, blank_is_missing=False)

    assert [fault.split("'")[1] for fault in faults.to_pylist()] == ["y", "y"]
