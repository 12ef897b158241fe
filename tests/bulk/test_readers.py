"""Readers return every row in its place, from any row on at which a run resumes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelane.bulk.readers import csv, json_lines
from modelane.bulk.readers.base import FAULT
from modelane.bulk.readers.open_file import open_source, resized
from modelane.errors import BulkError


def rows(path: Path, columns=("id",), *, skip: int = 0, size: int = 100) -> list[dict]:
    batches = open_source(path).batches(columns, skip, size)
    return [row for batch in resized(batches, size) for row in batch.to_pylist()]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(csv, "BLOCK_BYTES", 200)


@pytest.mark.parametrize("skip", [0, 1, 99, 100, 101, 250, 299, 300])
def test_a_run_can_resume_at_any_row_of_any_format(tmp_path, small_blocks, skip):
    ids = [str(n) for n in range(300)]
    (tmp_path / "in.csv").write_text("id,x\n" + "".join(f"{n},1\n" for n in ids))
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": "{n}"}}\n\n' for n in ids))
    pq.write_table(pa.table({"x": ids, "id": ids}), tmp_path / "in.parquet", row_group_size=100)

    for ending in ("csv", "jsonl", "parquet"):
        found = rows(tmp_path / f"in.{ending}", skip=skip)
        assert [row["id"] for row in found] == ids[skip:], ending
        assert all(row[FAULT] is None for row in found)


@pytest.mark.parametrize("skip", [0, 3, 8, 20])
def test_csv_rows_with_a_wrong_number_of_values_keep_their_place(tmp_path, small_blocks, skip):
    # Given bad rows at both ends, in sequence, at block boundaries, and next to a blank line
    bad = {0, 7, 8, 30, 31, 32, 99}
    lines = [f"{n},1,2" if n in bad else f'{n},"a\nb"' for n in range(100)]
    lines[50] += "\n"
    (tmp_path / "in.csv").write_text("id,x\n" + "\n".join(lines) + "\n")

    found = rows(tmp_path / "in.csv", skip=skip, size=7)

    expected = [None if n in bad else str(n) for n in range(100)]
    assert [row["id"] for row in found] == expected[skip:]
    assert {skip + n for n, row in enumerate(found) if row[FAULT]} == {n for n in bad if n >= skip}


def test_csv_values_are_read_as_text(tmp_path):
    (tmp_path / "in.csv").write_text('id,x\n007,1\nNA,2\n"",3\n1e5,4\n', "utf-8-sig")

    assert [row["id"] for row in rows(tmp_path / "in.csv")] == ["007", "NA", "", "1e5"]


def test_lines_that_are_not_json_objects_keep_their_place(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(
        b'{"id": 1}\nid\n[1]\n{"id": "\\ud800"}\n\xff\n' + b"[" * 2000 + b'\n{"id": NaN}\n{}\n'
    )

    found = rows(tmp_path / "in.jsonl")

    assert [bool(row[FAULT]) for row in found] == [False, True, True, True, True, True, False, False]
    assert found[-1]["id"] is None


def test_json_columns_with_several_types_become_text(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": 1}\n{"id": "a"}\n{"id": {"b": [2]}}\n')

    assert [row["id"] for row in rows(tmp_path / "in.jsonl")] == ["1", "a", '{"b":[2]}']
    assert [row["id"] for row in rows(tmp_path / "in.jsonl", size=1)] == [1, "a", {"b": [2]}]


def test_a_file_without_line_ends_is_not_read_as_json_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 1000)
    (tmp_path / "in.jsonl").write_text("[" + '{"id": 1},' * 1000)

    with pytest.raises(BulkError, match="line 1 is longer than 1000 bytes"):
        rows(tmp_path / "in.jsonl")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "in.csv").write_bytes("id\nZürich\n".encode("latin-1"))

    with pytest.raises(BulkError, match=r"cannot read .*in\.csv: .*UTF8"):
        rows(tmp_path / "in.csv")


def test_a_parquet_file_with_one_row_group_is_read_piece_by_piece(tmp_path):
    n = 2_000_000
    pq.write_table(pa.table({"id": pa.array(range(n))}), tmp_path / "in.parquet", row_group_size=n)
    before = pa.total_allocated_bytes()
    peak = 0

    for _ in open_source(tmp_path / "in.parquet").batches(["id"], 0, 4096):
        peak = max(peak, pa.total_allocated_bytes() - before)

    assert peak < n * 8 / 2


def test_resized_batches_have_exactly_the_wanted_number_of_rows():
    batches = [pa.RecordBatch.from_pydict({"x": list(range(n))}) for n in (3, 0, 10, 1, 1)]

    assert [len(batch) for batch in resized(iter(batches), 4)] == [4, 4, 4, 3]
