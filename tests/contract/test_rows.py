"""Rows mean the same whether they come as arrays, lists, records or tables of any library."""

import datetime as dt
import enum
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from modelane.data.features import Feature
from modelane.data.rows import to_json, to_rows
from modelane.data.tensor import Tensor, from_wire, to_msgpack
from modelane.errors import BadInput
from modelane.protocol.redaction import describe
from modelane_worker.inference.request_reader import RequestReader

FEATURES = (
    Feature("age", "float64"),
    Feature("city", "str"),
    Feature("since", "datetime64[us]"),
    Feature("vip", "float64"),
)
NAMES = tuple(feature.name for feature in FEATURES)
READER = RequestReader("churn", FEATURES)

NOON = dt.datetime(2026, 1, 2, 12)
OSLO = dt.timezone(dt.timedelta(hours=1))
RECORDS = [
    {"age": 41, "city": "Oslo", "since": NOON, "vip": True},
    {"age": None, "city": None, "since": None, "vip": None},
    {"age": 7.5, "city": "Æ", "since": dt.datetime(1999, 12, 31, 23, 59, 59, 123456), "vip": False},
]


def sent(rows, columns=None):
    """Return rows as the model gets them after encoding and decoding, as a frame."""
    body, names, n_rows = to_rows(rows, columns)
    packed = msgspec.msgpack.encode(to_msgpack(body))
    arrived = msgspec.msgpack.decode(packed, ext_hook=from_wire)
    read = READER.read(arrived, names)
    assert len(read) == n_rows
    return read.frame(FEATURES)


EXPECTED = pd.DataFrame(
    {
        "age": [41.0, np.nan, 7.5],
        "city": pd.Series(["Oslo", np.nan, "Æ"], dtype=object),
        "since": np.array(["2026-01-02T12", "NaT", "1999-12-31T23:59:59.123456"], dtype="M8[us]"),
        "vip": [1.0, np.nan, 0.0],
    }
)

AS_COLUMNS = {name: [record[name] for record in RECORDS] for name in NAMES}
AS_LISTS = [list(record.values()) for record in RECORDS]
ARROW = pa.table(
    {
        "age": pa.array([41, None, 7.5]),
        "city": pa.array(AS_COLUMNS["city"]).dictionary_encode(),
        "since": pa.array(AS_COLUMNS["since"], pa.timestamp("us")),
        "vip": pa.array(AS_COLUMNS["vip"]),
    }
)


class OnlyAStream:
    """A table with Arrow's stream interface and nothing else."""

    def __arrow_c_stream__(self, requested_schema=None):
        return ARROW.__arrow_c_stream__(requested_schema)


FORMS = {
    "records": lambda: RECORDS,
    "records in another order": lambda: [dict(reversed(record.items())) for record in RECORDS],
    "lists": lambda: AS_LISTS,
    "tuples": lambda: tuple(map(tuple, AS_LISTS)),
    "array of objects": lambda: np.array(AS_LISTS, dtype=object),
    "list of arrays": lambda: [np.array(row, dtype=object) for row in AS_LISTS],
    "map of lists": lambda: AS_COLUMNS,
    "map of arrays": lambda: {name: np.array(column, dtype=object) for name, column in AS_COLUMNS.items()},
    "map of series": lambda: dict(pd.DataFrame(AS_COLUMNS).items()),
    "pandas": lambda: pd.DataFrame(AS_COLUMNS),
    "pandas of objects": lambda: pd.DataFrame(AS_COLUMNS, dtype=object),
    "pandas, shuffled": lambda: pd.DataFrame(AS_COLUMNS)[["vip", "city", "since", "age"]],
    "pandas, indexed": lambda: pd.DataFrame(AS_COLUMNS, index=[7, 7, 9]),
    "pandas, nullable": lambda: pd.DataFrame(AS_COLUMNS).astype(
        {"age": "Float32", "city": "string", "vip": "boolean"}
    ),
    "pandas, categories": lambda: pd.DataFrame(AS_COLUMNS).astype({"city": "category", "vip": "category"}),
    "pandas on Arrow": lambda: ARROW.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas, with a time zone": lambda: pd.DataFrame(AS_COLUMNS).assign(
        since=lambda frame: frame["since"].dt.tz_localize("UTC").dt.tz_convert("Europe/Oslo")
    ),
    "polars": lambda: pl.DataFrame(AS_COLUMNS, strict=False),
    "polars, categories": lambda: pl.DataFrame(AS_COLUMNS, strict=False).cast({"city": pl.Categorical}),
    "polars, enumeration": lambda: pl.DataFrame(AS_COLUMNS, strict=False).cast(
        {"city": pl.Enum(["Æ", "Oslo"])}
    ),
    "polars, with a time zone": lambda: pl.DataFrame(AS_COLUMNS, strict=False).with_columns(
        pl.col("since").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Oslo")
    ),
    "Arrow": lambda: ARROW,
    "Arrow, plain strings": lambda: ARROW.set_column(1, "city", pa.array(AS_COLUMNS["city"])),
    "Arrow, in chunks": lambda: pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1)]),
    "Arrow, one batch": lambda: ARROW.combine_chunks().to_batches()[0],
    "Arrow, with a time zone": lambda: ARROW.set_column(
        2, "since", ARROW["since"].cast(pa.timestamp("us", "Europe/Oslo"))
    ),
    "Arrow's reader": ARROW.to_reader,
    "an Arrow stream": OnlyAStream,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_means_the_same_in_every_form(form):
    pd.testing.assert_frame_equal(sent(FORMS[form]()), EXPECTED, check_column_type=False)


@pytest.mark.parametrize("form", FORMS)
def test_a_table_means_the_same_in_the_json_of_a_stock_client(form):
    body, names, _ = to_rows(FORMS[form]())

    read = READER.read(msgspec.json.decode(msgspec.json.encode(to_json(body))), names)

    pd.testing.assert_frame_equal(read.frame(FEATURES), EXPECTED, check_column_type=False)


def test_one_row_and_many_rows_mean_the_same():
    many = sent(pd.DataFrame(AS_COLUMNS).iloc[[0, 1, 2] * 20])
    one_by_one = pd.concat([sent(pd.DataFrame(AS_COLUMNS).iloc[[i % 3]]) for i in range(60)])

    pd.testing.assert_frame_equal(many, one_by_one.reset_index(drop=True))


scalars = {
    "age": st.none() | st.floats(width=64, allow_nan=False) | st.booleans() | st.integers(-(2**53), 2**53),
    "city": st.none() | st.text(),
    "since": st.none() | st.datetimes(),
    "vip": st.none() | st.booleans(),
}


@given(st.lists(st.fixed_dictionaries(scalars), min_size=1, max_size=40))
def test_the_model_gets_the_values_that_were_sent(records):
    seen = sent(records)

    for name, column in seen.items():
        wanted = [record[name] for record in records]
        for value, want in zip(column, wanted, strict=True):
            assert pd.isna(value) if want is None else value == want


class Size(enum.StrEnum):
    LARGE = "large"


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.uint64(2**63), 2.0**63),
        (10**30, 1e30),
        (np.bool_(True), 1.0),
        (Decimal("1.25"), 1.25),
        (Fraction(1, 4), 0.25),
        (pd.NA, np.nan),
        (pd.NaT, np.nan),
        (float("nan"), np.nan),
        ("41.5", 41.5),
    ],
    ids=repr,
)
@pytest.mark.parametrize("others", [[], [None], ["1", None]], ids=["alone", "missing", "spelt"])
def test_a_number_of_any_type_is_a_number(value, arrives, others):
    for rows in (
        [{"age": one, "city": "a", "since": None, "vip": 1} for one in [value, *others]],
        [[one, "a", None, 1] for one in [value, *others]],
    ):
        assert sent(rows)["age"][0] == pytest.approx(arrives, nan_ok=True)


@pytest.mark.parametrize("value", [np.str_("large"), Size.LARGE, "large"], ids=repr)
def test_a_string_of_any_type_is_a_string(value):
    assert sent([[1, value, None, 1]])["city"].tolist() == ["large"]


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2026, 1, 2),
        dt.datetime(2026, 1, 2, 1, tzinfo=OSLO),
        pd.Timestamp("2026-01-02 01:00", tz="Europe/Oslo"),
        np.datetime64("2026-01-02"),
        "2026-01-02",
        "2026-01-01T19:00:00-05:00",
    ],
    ids=repr,
)
def test_a_date_of_any_type_is_a_date_in_utc(value):
    for rows in ([[1, "a", value, 1]], [[1, "a", value, 1]] * 30, {**AS_COLUMNS, "since": [value] * 3}):
        assert set(sent(rows)["since"]) == {pd.Timestamp("2026-01-02")}


@pytest.mark.parametrize(
    "dtype", ["<f8", ">f8", "<f4", ">f2", "f2", "g", "i1", ">i8", "u1", ">u4", "u8", "?"], ids=str
)
def test_an_array_of_numbers_keeps_its_dtype(dtype):
    array = np.arange(24).reshape(6, 4).astype(dtype)

    for form in (array, array[::2, ::-1], np.asfortranarray(array)):
        body, columns, n_rows = to_rows(form)

        assert isinstance(body, Tensor)
        np.testing.assert_array_equal(body.array(), form)
        assert body.array().dtype == ("<f8" if dtype == "g" else np.dtype(dtype).newbyteorder("<"))
        assert (columns, n_rows) == (None, len(form))


@pytest.mark.parametrize(
    ("rows", "dtype"),
    [
        ([[1, 2], [3, 4]], "<i8"),
        ([[1, 2.5], [3, 4]], "<f8"),
        ([[1, None], [3, 4]], "<f8"),
        ([(True, False)], "|b1"),
        ([np.array([1, 2], dtype="f4")] * 2, "<f4"),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "<i8"),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), "<i8"),
        (pd.DataFrame({"a": [1.5, 2], "b": [True, False]}), "<f8"),
        (pd.DataFrame({"a": [1, None], "b": [3, 4]}, dtype="Int64"), "<f8"),
        (pd.DataFrame({"a": ["1"], "b": [Decimal(2)]}).astype({"a": "int8"}), "<f8"),
        (pl.DataFrame({"a": [1, 2], "b": [3, None]}), "<f8"),
        (pl.DataFrame({"a": [1, 2], "b": [3, 4]}, schema={"a": pl.Int8, "b": pl.UInt8}), "<i2"),
        (pa.table({"a": [1, 2], "b": [3.5, 4]}), "<f8"),
        (np.ma.array([[1.5, 2.5]], mask=[[False, True]]), "<f8"),
        (np.array([[1, None]], dtype=object), "<f8"),
        ([{"a": 1, "b": 2}], "<f8"),
        ([{"a": 1, "b": None}, {"a": Decimal(2), "b": 3}], "<f8"),
        ({"a": [1, 2], "b": (3.5, 4)}, "<f8"),
        (np.matrix([[1, 2]]), "<i8"),
    ],
    ids=lambda value: (
        f"{type(value).__module__}.{type(value).__name__}" if not isinstance(value, str) else value
    ),
)
def test_rows_of_numbers_are_sent_as_one_tensor(rows, dtype):
    body, columns, n_rows = to_rows(rows)

    assert isinstance(body, Tensor)
    assert body.dtype == dtype
    assert body.shape == (n_rows, 2)
    named = isinstance(rows, dict) or hasattr(rows, "columns") or type(next(iter(rows))) is dict
    assert columns == (("a", "b") if named else None)


def test_a_masked_value_is_missing():
    body, _, _ = to_rows(np.ma.array([[1, 2]], mask=[[False, True]]))

    np.testing.assert_array_equal(body.array(), [[1.0, np.nan]])


def test_a_frame_whose_columns_are_numbered_is_taken_by_position():
    assert to_rows(pd.DataFrame(np.zeros((2, 3))))[1] is None
    assert to_rows(pd.DataFrame(np.zeros((2, 2))), ("a", "b"))[1] == ("a", "b")

    pd.testing.assert_frame_equal(sent(pd.DataFrame(AS_LISTS)), EXPECTED, check_column_type=False)
    pd.testing.assert_frame_equal(sent(pd.DataFrame(AS_LISTS), NAMES), EXPECTED, check_column_type=False)


@pytest.mark.parametrize(
    "labels",
    [
        pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]),
        [1.0, 2.0],
        [None, None],
        [True, False],
        pd.to_datetime(["2026-01-01", "2026-01-02"]),
        [1, 0],
    ],
)
def test_a_frame_whose_columns_are_neither_named_nor_numbered_is_refused(labels):
    with pytest.raises(BadInput, match="is not named by a string: rename the columns"):
        to_rows(pd.DataFrame(np.zeros((2, 2)), columns=labels))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, "not NoneType"),
        ("rows", "not str"),
        (b"rows", "not bytes"),
        (7, "not int"),
        ({1, 2}, "not set"),
        ((row for row in AS_LISTS), "not generator"),
        ([], "no rows"),
        ({}, "no columns"),
        ({"a": []}, "no rows"),
        (np.zeros((0, 3)), "no rows"),
        (pd.DataFrame({"a": []}), "no rows"),
        (pd.DataFrame(index=[1, 2]), "no columns"),
        (pl.DataFrame(), "no columns"),
        (np.zeros(3), r"for one row, pass \[row\]"),
        ([1, 2, 3], r"for one row, pass \[row\]"),
        (["a", "b"], r"for one row, pass \[row\]"),
        (np.zeros((1, 2, 3)), "but these have 3"),
        (pd.Series([1, 2]), r"a Series has one dimension, .*iloc\[\[0\]\]"),
        (pd.DataFrame({"a": [1]}).iloc[0], "a Series has one dimension"),
        ([pd.Series([1, 2])], "row 0 is of type Series"),
        (pl.Series([1, 2]), "a Series has one dimension"),
        (pa.array([1, 2]), "has one dimension"),
        (pa.chunked_array([[1, 2]]), "has one dimension"),
        (pd.Index([1, 2]), "has one dimension"),
        (pl.LazyFrame({"a": [1]}), r"pass rows.collect\(\)"),
        (scipy.sparse.csr_matrix((2, 2)), r"pass rows.toarray\(\)"),
        (np.zeros(2, dtype=[("a", "f8"), ("b", "i4")]), "pass pandas.DataFrame"),
        (np.zeros((2, 2), dtype=complex), "imaginary parts of complex numbers"),
        (np.zeros((2, 2), dtype="m8[s]"), "pass durations as numbers of seconds"),
        (np.zeros((2, 2), dtype="S3"), "decode bytes to strings"),
        (pd.DataFrame({"a": [1], "b": [dt.timedelta(1)]}), "column 'b', row 0 is of type Timedelta"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame([["x", 2]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame([[1, 2]], columns=["a", 0]), "others are not"),
        (pd.DataFrame({"a": pd.period_range("2026", periods=2)}), "column 'a', row 0 is of type Period"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a', row 0 is of type list"),
        (pd.DataFrame({"a": ["x", b"y"]}), "column 'a', row 1 is of type bytes"),
        (pl.DataFrame({"a": [[1], [2]]}), "column 'a', row 0 is of type ndarray"),
        (pl.DataFrame({"a": [{"b": 1}]}), "column 'a' has 2 dimensions"),
        (pl.DataFrame({"a": [1]}, schema={"a": pl.Int128}), "column 'a' of type Int128 cannot be sent"),
        (pa.table({"a": [dt.time(1)]}), "column 'a', row 0 is of type time"),
        ([{"a": 1}, [1]], "row 1 is of type list, but row 0 is a record"),
        ([{"a": 1, "b": 2}, {"a": 1}], "row 1 has no column 'b', but row 0 has it: pass None"),
        ([{"a": 1}, {"a": 1, "b": 2}], "row 1 has a column 'b', but row 0 does not"),
        ({"a": 1, "b": 2}, r"column 'a' is of type int: .*for one record, pass \[record\]"),
        ({"a": "x"}, r"for one record, pass \[record\]"),
        ({"a": [1, 2], "b": [1]}, "column 'b' has 1 values, but the first column has 2"),
        ([[1, "a"], [1, object()]], "row 1, column 1 is of type object"),
        ([[1, "a"], [10**400, "a"]], "row 1, column 0 is too large"),
        ([[1, "a"], [Fraction(10**400), "a"]], "row 1, column 0 is too large"),
        ([[1, ["a"]]], "row 0, column 1 is of type list"),
        ([[1, "a"], {"a": 1}], "row 1 is of type dict"),
        (np.array([["2026"]], dtype="M8[Y]") + 2**40, "out of range"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:30],
)
def test_rows_that_are_not_a_table_are_refused_with_what_to_pass_instead(rows, words):
    with pytest.raises(BadInput, match=words):
        to_rows(rows)


@pytest.mark.parametrize("rows", [pd.DataFrame(AS_COLUMNS), RECORDS, pd.DataFrame({"a": [1.0]}), ARROW])
def test_columns_may_not_be_named_twice(rows):
    with pytest.raises(BadInput, match="leave out columns"):
        to_rows(rows, NAMES)


def test_an_error_does_not_repeat_a_value():
    with pytest.raises(BadInput) as refused:
        to_rows([["secret-4111", {"secret-4112"}]])

    assert "411" not in str(refused.value)


def test_a_table_is_described_by_its_shape_and_never_by_its_values():
    for rows in (RECORDS, AS_COLUMNS, pd.DataFrame(AS_COLUMNS).iloc[[0, 1, 2] * 20]):
        body, _, n_rows = to_rows(rows)

        assert describe(body) == f"[{n_rows}x4 columns]"


def test_one_long_string_adds_only_its_own_length():
    body, _, _ = to_rows({"age": np.zeros(100_000), "city": ["a"] * 99_999 + ["b" * 4000]})

    assert len(msgspec.msgpack.encode(to_msgpack(body))) < 8 * 100_000 + 2 * 100_000 + 5000


def test_rows_are_converted_without_pandas_polars_and_arrow():
    """Run in a process that cannot import them, as a service with only the base install."""
    program = """
import sys
sys.modules.update(dict.fromkeys(["pandas", "polars", "pyarrow", "scipy", "sklearn"]))
from datetime import datetime
import numpy as np
from modelane.errors import BadInput
from modelane.data.rows import to_rows
print(to_rows([{"a": "x", "b": None, "c": datetime(2026, 1, 2)}])[0])
print(to_rows(np.zeros((2, 3)))[0])
class Stream:
    def __arrow_c_stream__(self, requested_schema=None): ...
try:
    to_rows(Stream())
except BadInput as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "{'a': ['x'], 'b': [None], 'c': ['2026-01-02T00:00:00.000000']}"
    assert second == "[2x3 float64]"
    assert "pip install 'modelane[bulk]'" in third


FAR = dt.datetime(
    9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-5))
)  # in UTC it is the year 10,000


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"day": FAR}], "column 'day', row 0"),
        ([{"day": FAR}, {"day": "x"}], "column 'day', row 0 is a date out of range"),
        ([[FAR, "x"]], "row 0, column 0 is a date out of range"),
        ([{"day": np.datetime64("300000", "Y")}], "column 'day', row 0"),
        ([[Decimal("sNaN"), 1]], "row 0, column 0 is too large or not a number"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_with_its_place(rows, words):
    with pytest.raises(BadInput, match=words):
        to_rows(rows)


def test_a_long_double_among_strings_is_a_number():
    assert to_rows([[np.longdouble(1.5), "x"]])[0] == [[1.5, "x"]]
