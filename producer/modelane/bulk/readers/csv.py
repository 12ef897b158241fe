"""Read CSV files with a header line. Every value is read as text; the model's card defines what it means.

A row with too many or too few values keeps its place, with the reason in :data:`FAULT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from modelane.bulk.readers.base import FAULT, reading
from modelane.errors import BulkError

#: Bytes that are parsed together. A row must fit. The reader holds several blocks, so peak memory grows with
#: it.
BLOCK_BYTES = 2**20


class CsvSource:
    """See :class:`modelane.bulk.readers.base.Source`."""

    blank_is_missing = True
    n_rows: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._file: Any = None
        if not self._size:
            raise BulkError(f"{path} is empty: expected a header line with the names of the columns")
        self.names: tuple[str, ...] = tuple(self._open(None, []).schema.names)

    def batches(self, columns: Sequence[str], skip_rows: int, max_rows: int) -> Iterator[pa.RecordBatch]:
        del max_rows  # pyarrow limits the bytes of a block, not its rows
        faults: list[pc.InvalidRow] = []
        n_seen = 0
        with reading(self._path):
            for batch in self._open(columns, faults):
                whole = _with_faults(batch, _take_before(faults, n_seen, len(batch)), n_seen)
                n_seen += len(whole)
                yield whole.slice(max(0, min(len(whole), skip_rows - (n_seen - len(whole)))))
            if faults:  # after the last row that could be read
                empty = pa.RecordBatch.from_pylist([], schema=self.types(columns))
                yield _with_faults(empty, faults, n_seen).slice(max(0, skip_rows - n_seen))

    def types(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in columns])

    def fraction_read(self) -> float:
        return min(1.0, self._file.tell() / self._size) if self._file and not self._file.closed else 1.0

    def _open(self, columns: Sequence[str] | None, faults: list[pc.InvalidRow]) -> Any:
        """Return a stream of batches. Rows with a wrong number of values go to ``faults`` instead."""

        def skip(row: pc.InvalidRow) -> str:
            faults.append(row)
            return "skip"

        self._file = pa.OSFile(str(self._path))
        types = {name: pa.string() for name in columns or ()}
        return pc.open_csv(
            self._file,
            # pyarrow numbers the rows that it skips only if it reads in one thread.
            read_options=pc.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pc.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=pc.ConvertOptions(
                column_types=types, include_columns=None if columns is None else list(columns)
            ),
        )


def _take_before(faults: list[pc.InvalidRow], n_seen: int, n_good: int) -> list[pc.InvalidRow]:
    """Remove from ``faults``, and return, the rows among the next ``n_good`` rows or right after them."""
    n = 0
    while n < len(faults) and _position(faults[n]) <= n_seen + n_good + n:
        n += 1
    taken, faults[:n] = faults[:n], []
    return taken


def _with_faults(batch: pa.RecordBatch, faults: list[pc.InvalidRow], n_seen: int) -> pa.RecordBatch:
    """Return ``batch`` with a row of missing values for each row that could not be read."""
    reasons = {_position(row) - n_seen: _reason(row) for row in faults}
    n_rows = len(batch) + len(reasons)
    if reasons:
        good = iter(range(len(batch)))
        index = [None if position in reasons else next(good) for position in range(n_rows)]
        batch = batch.take(pa.array(index, pa.int64()))
    return batch.append_column(
        FAULT,
        pa.array([reasons.get(n) for n in range(n_rows)], pa.string())
        if reasons
        else pa.nulls(n_rows, pa.string()),
    )


def _position(row: pc.InvalidRow) -> int:
    """Return the position of a row among all rows, from 0. pyarrow counts from 1, and counts the header."""
    return int(row.number) - 2


def _reason(row: pc.InvalidRow) -> str:
    return f"the row has {row.actual_columns} values, but the header has {row.expected_columns} columns"
