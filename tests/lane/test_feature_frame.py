"""An estimator gets the same dtypes in training and in serving, independent of pandas' defaults."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelane.data.features import Feature
from modelane.errors import BadInput
from modelane_worker.inference.feature_frame import frame
from modelane_worker.inference.typed_columns import convert

AGE, CITY, SINCE = Feature("age", "float64"), Feature("city", "str"), Feature("since", "datetime64[us]")


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_a_frame_has_the_cards_columns_in_its_order_and_dtypes():
    columns = {
        "since": np.array(["2026-01-02", "NaT"], dtype="M8[D]"),
        "city": objects("Oslo", None),
        "shoe": np.zeros(2),
        "age": np.array([41, 7], dtype=np.int16),
    }

    made = frame(columns, (AGE, CITY, SINCE))

    assert list(made.columns) == ["age", "city", "since"]
    assert [str(dtype) for dtype in made.dtypes] == ["float64", "object", "datetime64[us]"]
    assert made["age"].tolist() == [41.0, 7.0]
    assert made["city"][0] == "Oslo"
    assert type(made["city"][1]) is float
    assert made["since"][0] == pd.Timestamp("2026-01-02")
    assert made["since"][1] is pd.NaT


def test_a_frame_can_have_no_rows_and_no_columns():
    assert frame({"age": np.zeros(0), "city": objects()}, (AGE, CITY)).shape == (0, 2)
    assert frame({}, ()).shape == (0, 0)


def test_strings_stay_objects_even_if_pandas_defaults_to_its_string_dtype():
    for strings in (objects("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], dtype="T")):
        assert frame({"city": strings}, (CITY,))["city"].dtype == object


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT"), float("nan")])
def test_all_representations_of_a_missing_value_mean_the_same(missing):
    assert np.isnan(convert(objects(1.5, missing), AGE)[1])
    assert np.isnan(convert(objects("a", missing), CITY)[1])
    assert np.isnat(convert(objects("2026-01-02", missing), SINCE)[1])


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-02 03:04:05",
        "20260102T030405",
        datetime(2026, 1, 2, 3, 4, 5),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 1, 22, 4, 5, tzinfo=timezone(-timedelta(hours=5))),
        pd.Timestamp("2026-01-02 03:04:05"),
        pd.Timestamp("2026-01-02 04:04:05", tz="Europe/Oslo"),
        np.datetime64("2026-01-02T03:04:05", "ns"),
        pl.Series([datetime(2026, 1, 2, 3, 4, 5)])[0],
    ],
)
def test_a_date_in_any_usual_format_is_converted_to_utc(moment):
    assert convert(objects(moment), SINCE) == np.datetime64("2026-01-02T03:04:05", "us")


def test_dates_far_from_now_are_valid():
    far = convert(objects("9999-12-31", "0001-01-01"), SINCE)

    assert [str(day)[:10] for day in far] == ["9999-12-31", "0001-01-01"]


def test_integers_booleans_decimals_strings_and_half_precision_are_numbers():
    np.testing.assert_array_equal(
        convert(objects(1, True, Decimal("0.5"), np.float32(2)), AGE), [1, 1, 0.5, 2]
    )
    np.testing.assert_array_equal(convert(np.array([1.5], dtype=np.float16), AGE), [1.5])


@pytest.mark.parametrize(
    ("values", "feature", "words"),
    [
        (objects(1.0, "twelve"), AGE, "column 'age' takes numbers, but row 1 is of type str"),
        (objects(10**400), AGE, "row 0 is too large"),
        (objects([1]), AGE, "row 0 is of type list"),
        (objects(1j), AGE, "row 0 is of type complex"),
        (
            np.array(["2026-01-02"], dtype="M8[ns]"),
            AGE,
            "takes numbers, but row 0 is of type datetime64",
        ),
        (objects("Oslo", 3), CITY, "column 'city' takes strings, but row 1 is of type int"),
        (
            np.array(["2026-01-02"], dtype="M8[ns]"),
            CITY,
            "takes strings, but row 0 is of type datetime64",
        ),
        (np.array([1.5]), CITY, "row 0 is of type float"),
        (objects(b"Oslo"), CITY, "row 0 is of type bytes"),
        (
            objects("2026-01-02", "yesterday"),
            SINCE,
            "column 'since' takes dates, but row 1 is not an ISO 8601 date",
        ),
        (objects("2026-02-30"), SINCE, "row 0 is not an ISO 8601 date"),
        (np.array([1767312000]), SINCE, "row 0 is of type int"),
        (np.array([2**60], dtype="M8[D]"), SINCE, "out of range"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_row_and_column(values, feature, words):
    with pytest.raises(BadInput, match=words) as refused:
        convert(values, feature)

    assert "Oslo" not in str(refused.value)
    assert "yesterday" not in str(refused.value)
    assert "twelve" not in str(refused.value)


def test_a_frame_without_a_column_is_refused():
    with pytest.raises(BadInput, match="no column 'city'"):
        frame({"age": np.zeros(1)}, (AGE, CITY))
