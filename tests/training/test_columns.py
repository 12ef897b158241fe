"""Which type each column gets, and what is refused, by row and column."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from modelane.errors import BadData, RecipeError
from modelane_training.recipe import Recipe
from modelane_training.sources import csv


def collect(source, **options):
    return Recipe(model="m", source=source, target="y", **options).collect()


@pytest.fixture
def from_csv(tmp_path):
    """Return a table with these cells as column ``x``, and a target."""

    def collect_csv(*cells: str, **options):
        path = tmp_path / "data.csv"
        path.write_text("x;y\n" + "".join(f"{cell};{n % 2}\n" for n, cell in enumerate(cells)))
        return collect(csv(path, **options))

    return collect_csv


def dtype_of(table) -> str:
    return table.features[0].dtype


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2.5", "1e3", " 4 ", ".5"], "float64", [1, -2.5, 1000, 4, 0.5]),
        (["true", "FALSE"], "float64", [1, 0]),
        (["2024-01-31", "2024-02-29T10:30:00Z"], "datetime64[us]", ["2024-01-31", "2024-02-29T10:30"]),
        (["2024-01-31 12:00+02:00"], "datetime64[us]", ["2024-01-31T10:00"]),
        (["yes", "no"], "str", ["yes", "no"]),
        (["00123", "7"], "str", ["00123", "7"]),
        (["12345678901234567", "1"], "str", ["12345678901234567", "1"]),
        (["20240131", "20240201"], "float64", [20240131, 20240201]),
        (["31.01.2024", "01.02.2024"], "str", ["31.01.2024", "01.02.2024"]),
        (["1_000", "2_000"], "str", ["1_000", "2_000"]),
        (["A1", "2", "3"], "str", ["A1", "2", "3"]),
    ],
)
def test_the_types_of_a_csv_file_are_inferred(from_csv, cells, dtype, values):
    table = from_csv(*cells)

    assert dtype_of(table) == dtype
    expected = np.array(values, dtype=dtype if dtype != "str" else object)
    np.testing.assert_array_equal(table.rows["x"].to_numpy(), expected)


@pytest.mark.parametrize("nothing", ["", "NA", "NULL", "None", "nan", "  "])
def test_empty_strings_and_usual_markers_are_missing_values_in_every_column(from_csv, nothing):
    for other, dtype in [("1.5", "float64"), ("2024-01-31", "datetime64[us]"), ("red", "str")]:
        table = from_csv(other, nothing)

        assert dtype_of(table) == dtype
        assert table.rows["x"].isna().tolist() == [False, True]


def test_a_recipe_can_name_other_missing_values(from_csv):
    assert dtype_of(from_csv(*"123456789", "?", missing=("?",))) == "float64"


def test_a_few_strings_among_numbers_are_refused_with_their_rows(from_csv):
    numbers = map(str, range(30))

    with pytest.raises(
        BadData,
        match=r"csv row 32: column 'x' has strings among numbers.*missing=\('unknown',\).*text=\('x',\)",
    ):
        from_csv(*numbers, "unknown")


def test_a_recipe_can_declare_a_column_as_strings(from_csv):
    assert dtype_of(from_csv(*map(str, range(30)), "unknown", text=("x",))) == "str"


def test_a_date_that_does_not_exist_is_refused_with_its_row(from_csv):
    with pytest.raises(
        BadData, match=r"row 31: column 'x' has values among dates that are not dates, such as '2024-02-30'"
    ):
        from_csv(*(f"2024-01-{day:02}" for day in range(1, 30)), "2024-02-30")


def test_a_decimal_comma_is_recognised_and_read_with_the_option(from_csv):
    with pytest.raises(
        BadData, match=r"row 3: column 'x' has numbers with a decimal comma, such as '2,5'; .*decimal=','"
    ):
        from_csv("1", "2,5")

    assert from_csv("1", "2,5", decimal=",").rows["x"].tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (["00123"], "leading zeros: it is read as strings, and requests must send strings"),
        (["12345678901234567"], "beyond 2**53: it is read as strings"),
        (["31.01.2024"], "looks like dates that are not in ISO 8601"),
    ],
)
def test_an_unexpected_type_is_noted(from_csv, cells, sentence):
    (note,) = from_csv(*cells).notes

    assert note.startswith("column 'x' ")
    assert sentence in note


TYPED = {
    "numbers": ([1, 2.5, None], "float64"),
    "decimals": ([Decimal("1.5"), None, Decimal(2)], "float64"),
    "truth": ([True, False, None], "float64"),
    "large": ([2**60, 2**60 + 1, None], "str"),
    "strings": (["a", "", None], "str"),
    "numbers in strings": (["1", "2", "3"], "str"),
    "days": ([datetime.date(2024, 1, 31), None, datetime.date(2024, 2, 1)], "datetime64[us]"),
    "moments": ([datetime.datetime(2024, 1, 31, 12), None, None], "datetime64[us]"),
    "dates in strings": (["2024-01-31", None, "2024-02-01"], "datetime64[us]"),
    "ids": ([uuid.UUID(int=1), uuid.UUID(int=2), None], "str"),
    "nothing": ([None, None, None], "float64"),
}


def test_the_types_of_a_typed_format_are_kept():
    # Given columns of every type, each with a missing value
    records = [{name: values[n] for name, (values, _) in TYPED.items()} | {"y": n} for n in range(3)]

    table = collect(lambda: records)

    # Then each column has its dtype, and large numbers are exact
    assert {f.name: f.dtype for f in table.features} == {name: dtype for name, (_, dtype) in TYPED.items()}
    assert table.rows["large"].tolist()[:2] == [str(2**60), str(2**60 + 1)]
    assert table.rows["days"][0] == pd.Timestamp("2024-01-31")
    assert table.rows["strings"].isna().tolist() == [False, True, True]
    assert any("'numbers in strings' has numbers written as strings" in note for note in table.notes)


def test_extension_types_of_pandas_are_read():
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["a", None, "b"]),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["u", None, "v"], dtype="string"),
            "zoned": pd.to_datetime(["2024-01-31 12:00"] * 3).tz_localize("Europe/Berlin"),
            "small": np.array([1, 2, 3], dtype=np.float32),
            "large": np.array([2**60, 1, 2]),
            "y": [0.5, 1, 2],
        },
        index=[7, 7, 9],
    )

    table = collect(lambda: frame)

    dtypes = ["str", "float64", "float64", "str", "datetime64[us]", "float64", "str"]
    assert [feature.dtype for feature in table.features] == dtypes
    assert table.rows["zoned"][0] == pd.Timestamp("2024-01-31 11:00")
    assert [table.rows[name].dtype for name in ("category", "string", "large")] == [object] * 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, "x", 2], "row 1: column 'x' has strings among numbers, such as 'x'"),
        ([1, datetime.date(2024, 1, 1), 2], "row 1: column 'x' has dates among numbers, such as 2024-01-01"),
        ([[1], "x", 2], "row 0: column 'x' has values of type list, such as .1.; expected numbers"),
        ([{"a": 1}, None, None], "row 0: column 'x' has values of type dict"),
        ([b"x", None, None], "row 0: column 'x' has values of type bytes"),
        ([datetime.timedelta(1), None, None], "row 0: column 'x' has values of type timedelta"),
    ],
)
def test_a_column_of_mixed_or_unsupported_types_is_refused_with_its_rows(values, sentence):
    with pytest.raises(BadData, match=sentence):
        collect(lambda: [{"x": value, "y": 1} for value in values])


def test_an_error_lists_a_few_of_many_rows():
    with pytest.raises(BadData, match=r"^rows 0, 2, 4 and 2 more: column 'x' has strings among numbers"):
        collect(lambda: [{"x": "?" if n % 2 == 0 and n < 9 else n, "y": 1} for n in range(40)])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (lambda: pd.DataFrame({"x": [1], "y": [2]}), ("x",)),
        (lambda target: pd.DataFrame({"x": [1], target: [2]}), ("x",)),
        (lambda path="no target": [{"x": 1, "y": path}], ("x",)),
        (lambda: ({"x": n, "y": n} for n in range(3)), ("x",)),
        (lambda: {"x": [1, 2], "y": [1, 2]}, ("x",)),
        (lambda: (np.eye(3), [1, 2, 3]), ("x0", "x1", "x2")),
        (lambda: ([[1, 2], [3, 4]], np.array(["a", "b"])), ("x0", "x1")),
        (lambda: (pd.DataFrame({"z": [1, 2]}), pd.Series([1, 2])), ("z",)),
    ],
)
def test_a_function_may_return_rows_in_many_forms(source, names):
    assert collect(source).names == names


@pytest.mark.parametrize(
    ("source", "error", "sentence"),
    [
        (lambda: 5, RecipeError, "an object of type int: expected a DataFrame"),
        (lambda: "text", RecipeError, "of type str"),
        (lambda: [[1]], RecipeError, "of type list"),
        (lambda: (np.eye(3), [1, 2]), RecipeError, r"3 rows and targets of shape \(2,\)"),
        (lambda: (pd.DataFrame({"y": [1]}), [1]), RecipeError, "rows have a column 'y' too"),
        (lambda: [], BadData, "has no column 'y': it has no columns at all"),
        (lambda: {"Y": [1]}, BadData, "has no column 'y': did you mean 'Y'?"),
        (
            lambda: pd.DataFrame([[1, 2, 3]], columns=["a", "a", "y"]),
            BadData,
            "several columns with the same name: a",
        ),
        (lambda: [{"y": datetime.date(2024, 1, 1)}], BadData, "the target 'y' holds dates"),
    ],
)
def test_data_that_is_not_a_table_is_refused(source, error, sentence):
    with pytest.raises(error, match=sentence):
        collect(source)


RECORDS = [{"id": f"c{n // 2}", "day": f"2024-01-{n + 1:02}", "x": n, "y": n % 2} for n in range(10)]


def test_group_time_and_dropped_columns_are_not_features():
    table = collect(lambda: RECORDS, groups="id", time="day")

    assert table.names == ("x",)
    assert table.groups.tolist()[:3] == ["c0", "c0", "c1"]
    assert table.times[0] == np.datetime64("2024-01-01")
    assert collect(lambda: RECORDS, leave_out=("id", "day")).names == ("x",)


@pytest.mark.parametrize(
    ("records", "options", "sentence"),
    [
        (RECORDS, {"leave_out": ("Id",)}, "has no column 'Id': did you mean 'id'?"),
        (
            RECORDS,
            {"time": "id"},
            "column 'id', the recipe's time, holds strings, such as 'c0': expected ISO 8601 dates",
        ),
        (
            [*RECORDS, {"x": 1, "y": 1}],
            {"groups": "id"},
            "row 10: column 'id', the recipe's groups, has no value",
        ),
        (
            [*RECORDS, {"x": 1, "y": 1}],
            {"time": "day"},
            "row 10: column 'day', the recipe's time, has no value",
        ),
    ],
)
def test_a_wrong_column_name_in_a_recipe_is_refused(records, options, sentence):
    with pytest.raises(BadData, match=sentence):
        collect(lambda: records, **options)
