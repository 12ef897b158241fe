"""Rows as people give them: JSON, JSON Lines, CSV; and what is said when they are none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from modelane.broker.served_models import Served
from modelane.cli import row_input
from modelane.data.features import Feature
from modelane.errors import BadInput, TooLarge

CHURN = Served(
    model="churn",
    version="v1",
    features=(Feature("age", "float64"), Feature("city", "str")),
    methods=("predict",),
    classes=None,
)


@pytest.fixture
def pipe(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def from_json(*arguments: str, max_chars: int = 1000):
    return row_input.from_json(arguments, max_chars=max_chars)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["[1, 2]"], [[1, 2]]),
        (["[[1, 2], [3, null]]"], [[1, 2], [3, None]]),
        (["[1, 2]", "[[3, 4]]"], [[1, 2], [3, 4]]),
        (['{"age": 41}'], [{"age": 41}]),
        (['[{"age": 41}, {"age": 7}]'], [{"age": 41}, {"age": 7}]),
    ],
)
def test_a_row_rows_a_record_and_records_are_taken(arguments, expected):
    assert from_json(*arguments) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[1, 2],\n [3, 4]]\n", [[1, 2], [3, 4]]),
        ("[1, 2]\n\n[3, 4]\n", [[1, 2], [3, 4]]),
        ('{"age": 1}\n{"age": 2}', [{"age": 1}, {"age": 2}]),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_a_pipe_may_carry_a_document_or_one_a_line(pipe, text, expected, arguments):
    pipe(text)

    assert from_json(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["[1, 2"], "argument 1, line 1, column 6"),
        (["[1, 2]", "{age: 1}"], "argument 2, line 1, column 2"),
    ],
)
def test_what_is_no_json_is_shown_where(arguments, where):
    with pytest.raises(BadInput, match=f"not valid JSON: {where}: Expecting"):
        from_json(*arguments)


def test_of_json_lines_the_line_is_shown(pipe):
    pipe("[1, 2]\n\n[3, 4\n")

    with pytest.raises(BadInput, match="not valid JSON: line 3, column 6: Expecting"):
        from_json()


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "9" * 5_000 + "]"], ids=["nested", "a long number"])
def test_what_json_itself_cannot_read_is_refused_in_words(pipe, text):
    pipe(text)

    with pytest.raises(BadInput, match="not valid JSON"):
        from_json(max_chars=10**6)
    with pytest.raises(BadInput, match="not valid JSON"):
        from_json(text)


@pytest.mark.parametrize("value", ["5", '"age"', "[[1], 2]", "null"])
def test_json_that_is_no_rows_says_what_rows_are(value):
    with pytest.raises(BadInput, match=r"argument 1: expected a row \[1, 2\]"):
        from_json(value)


@pytest.mark.parametrize("text", ["", "\n", "[]"])
def test_no_rows_at_all_are_refused(pipe, text):
    pipe(text)

    with pytest.raises(BadInput, match="no rows given"):
        from_json()


def test_rows_and_records_do_not_mix():
    with pytest.raises(BadInput, match="mixed"):
        from_json("[1, 2]", '{"age": 1}')


def test_no_more_is_read_than_a_request_may_have(pipe):
    pipe("[" + "1," * 1000 + "1]")

    with pytest.raises(TooLarge, match="more than 100 characters"):
        from_json(max_chars=100)


def from_csv(path: str, max_chars: int = 1000):
    return row_input.from_csv(path, CHURN, max_chars=max_chars)


def test_of_a_csv_file_the_columns_of_the_model_are_taken_by_name(tmp_path):
    file = tmp_path / "in.csv"
    file.write_text('id,city,age\n1,"Bern, BE",41\n2,,\n3,Basel,true\n', "utf-8-sig")

    assert from_csv(str(file)) == [
        {"age": 41.0, "city": "Bern, BE"},
        {"age": None, "city": None},
        {"age": 1.0, "city": "Basel"},
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty: expected a header"),
        ("age,city\n", "has a header, but no rows"),
        ("age,town\n1,Bern\n", "model churn needs the column 'city', but .* has only age, town"),
        ("age,city,age\n1,Bern,2\n", "has 2 columns of that name"),
        ("age,city\n1,Bern\n2\n", "line 3 has 1 values, but the header has 2 columns"),
        ("age,city\n1,Bern\nold,Basel\n", "line 3: column 'age' takes numbers, but the value is not one"),
        ('age,city\n1,"Bern\n', "line 3 cannot be read"),
    ],
)
def test_a_csv_file_that_does_not_fit_says_where(tmp_path, content, sentence):
    file = tmp_path / "in.csv"
    file.write_text(content)

    with pytest.raises(BadInput, match=sentence):
        from_csv(str(file))


def test_a_csv_file_that_is_not_there_is_told():
    with pytest.raises(BadInput, match=r"absent\.csv cannot be read: No such file"):
        from_csv(str(Path("absent.csv")))


def test_a_pipe_may_begin_with_a_byte_order_mark(pipe):
    pipe("\ufeffage,city\n41,Delft\n")

    assert from_csv("-") == [{"age": 41.0, "city": "Delft"}]


def test_a_number_is_written_as_everybody_writes_it(pipe):
    pipe("age,city\n1_000,Delft\n")

    with pytest.raises(BadInput, match="column 'age' takes numbers"):
        from_csv("-")


@pytest.mark.parametrize("content", ["age,city\n" + "1,Bern\n" * 1000, "a" * 5000])
def test_of_a_csv_file_no_more_is_read_than_a_request_may_have(tmp_path, content):
    file = tmp_path / "in.csv"
    file.write_text(content)
    read = []

    with pytest.raises(TooLarge, match="more than 100 characters: use modelane score for large"):
        from_csv(str(file), max_chars=100)
    with pytest.raises(TooLarge), file.open() as opened:
        read.extend(row_input._at_most(100, opened))
    assert sum(map(len, read)) <= 100


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("big.parquet", r"not a CSV file: use modelane score churn .*big\.parquet OUT for Parquet"),
        ("big.jsonl", r"not a CSV file: pipe it in: modelane predict churn < .*big\.jsonl"),
        ("big.csv", r"line 1 cannot be read as CSV in UTF-8"),
    ],
)
def test_a_file_of_another_format_leads_to_what_reads_it(tmp_path, name, hint):
    file = tmp_path / name
    file.write_bytes(b"PAR1\x15\x04\x80\xff\x00")

    with pytest.raises(BadInput, match=hint):
        from_csv(str(file))
