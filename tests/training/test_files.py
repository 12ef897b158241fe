"""CSV, Parquet and JSON Lines files and folders of them."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest

from modelane.errors import BadData
from modelane_training.recipe import Recipe
from modelane_training.sources import csv, folder, json_lines, parquet


def collect(source):
    return Recipe(model="m", source=source, target="y").collect()


FRAME = pd.DataFrame({"age": [41, None, 7], "plan": ["solo", "team", None], "y": ["no", "yes", "no"]})


@pytest.fixture
def written(tmp_path):
    """Write the same frame in every format."""
    files = {kind: tmp_path / f"data.{kind}" for kind in ("csv", "csv.gz", "parquet", "jsonl", "jsonl.gz")}
    FRAME.to_csv(files["csv"], index=False)
    FRAME.to_csv(files["csv.gz"], index=False)
    FRAME.to_parquet(files["parquet"])
    FRAME.to_json(files["jsonl"], orient="records", lines=True)
    files["jsonl.gz"].write_bytes(gzip.compress(files["jsonl"].read_bytes()))
    return files


READERS = {"csv": csv, "csv.gz": csv, "parquet": parquet, "jsonl": json_lines, "jsonl.gz": json_lines}


@pytest.mark.parametrize("kind", READERS)
def test_every_format_gives_the_same_table(written, kind):
    table = collect(READERS[kind](written[kind]))

    assert table.sha256() == collect(csv(written["csv"])).sha256()
    assert [feature.dtype for feature in table.features] == ["float64", "str"]
    assert table.targets.tolist() == ["no", "yes", "no"]


@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_is_too_large_after_decompression_is_refused(written, kind):
    with pytest.raises(BadData, match="holds more than max_bytes=20 bytes of data: train on a part"):
        collect(READERS[kind](written[kind], max_bytes=20))


@pytest.mark.parametrize("reader", [csv, parquet, json_lines, folder])
def test_a_missing_file_is_refused_by_name(tmp_path, reader):
    with pytest.raises(BadData, match="none does not exist"):
        collect(reader(tmp_path / "none"))


@pytest.mark.parametrize("reader", [csv, parquet, json_lines])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xfe\0\0"])
def test_a_file_of_the_wrong_format_is_refused_by_name(tmp_path, reader, content):
    (tmp_path / "data").write_bytes(content)

    with pytest.raises(BadData, match="data "):
        collect(reader(tmp_path / "data"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,y\n1,2\n3\n", "row 3 has 1 values: expected 2"),
        ('a,y\n"1\n2",2\n3,4,5\n', "row 3 has 3 values: expected 2"),
        ("\n1,2\n", "is empty, or its first line is: expected a header"),
    ],
)
def test_an_error_in_a_csv_file_names_the_row(tmp_path, text, sentence):
    (tmp_path / "data.csv").write_text(text)

    with pytest.raises(BadData, match=sentence):
        collect(csv(tmp_path / "data.csv"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected_from_the_header(tmp_path, delimiter):
    (tmp_path / "data.csv").write_text(f"\ufeffa b{delimiter}y\n1{delimiter}2\n")

    assert collect(csv(tmp_path / "data.csv")).names == ("a b",)


def test_another_encoding_can_be_set_with_an_option(tmp_path):
    (tmp_path / "data.csv").write_bytes("größe,y\n1,ä\n".encode("latin-1"))

    with pytest.raises(BadData, match=r"is not text in utf-8: .*encoding='cp1252'"):
        collect(csv(tmp_path / "data.csv"))

    table = collect(csv(tmp_path / "data.csv", encoding="latin-1"))
    assert (table.names, table.targets.tolist()) == (("größe",), ["ä"])


def test_a_saved_index_is_left_out_and_noted(tmp_path):
    FRAME.to_csv(tmp_path / "data.csv")

    table = collect(csv(tmp_path / "data.csv"))

    assert table.names == ("age", "plan")
    assert "column 1 has no name" in table.notes[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1}\n{"a": }\n', "line 2 is not a JSON object: JSON is malformed"),
        ('{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ('[{"a": 1}]', "line 1 is not a JSON object.*no array around them"),
        ('{"a": 1}\n\n{"a": 2}\n', "line 2 is empty"),
        ('{"a": 1, "y": 1}\n{"a": "x", "y": 1}\n{"a": 2, "y": 1}\n', "line 2: column 'a' has strings among"),
        ('{"a": {"b": 1}, "y": 1}\n', "line 1: column 'a' has values of type dict"),
    ],
)
def test_an_error_in_json_lines_names_the_line(tmp_path, text, sentence):
    (tmp_path / "data.jsonl").write_text(text)

    with pytest.raises(BadData, match=rf"data\.jsonl {sentence}"):
        collect(json_lines(tmp_path / "data.jsonl"))


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_the_files_of_a_folder_are_read_as_one_table(tmp_path, kind):
    write = {"csv": lambda f, p: f.to_csv(p, index=False), "parquet": pd.DataFrame.to_parquet,
             "jsonl": lambda f, p: f.to_json(p, orient="records", lines=True)}[kind]  # fmt: skip
    write(FRAME, tmp_path / f"2.{kind}")
    write(FRAME[["y", "plan", "age"]].iloc[::-1], tmp_path / f"1.{kind}")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.csv").write_text("x\n")
    (tmp_path / "notes.txt").write_text("about the data")

    table = collect(folder(tmp_path))

    assert table.names in {("age", "plan"), ("plan", "age")}
    assert table.rows["plan"].tolist()[1:5] == ["team", "solo", "solo", "team"]
    unit, first = ("line", 1) if kind == "jsonl" else ("row", 2 if kind == "csv" else 1)
    assert table.where([3]) == f"{tmp_path}/2.{kind} {unit} {first}"
    assert "(2 files)" in table.source


def test_an_error_in_a_folder_names_the_file(tmp_path):
    (tmp_path / "1.csv").write_text("x,y\n" + "1,1\n" * 20)
    (tmp_path / "2.csv").write_text("x,y\n1,1\nmany,1\n")

    with pytest.raises(BadData, match=r"2\.csv row 3: column 'x' has strings among numbers"):
        collect(folder(tmp_path))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no data files: expected names that end in .csv"),
        ({"1.csv": "x,y\n1,2\n", "2.csv": "x,z\n1,2\n"}, r"2\.csv has no column 'y', an additional"),
        ({"1.csv": "x,y\n1,2\n", "2.jsonl": '{"x": 1, "y": 2}'}, r"several formats.* 1\.csv, 2\.jsonl"),
    ],
)  # fmt: skip
def test_a_folder_whose_files_do_not_match_is_refused(tmp_path, files, sentence):
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(BadData, match=sentence):
        collect(folder(tmp_path))
