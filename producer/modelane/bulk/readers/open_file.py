"""Open a file with the reader of its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from modelane.bulk.formats import Format, format_of
from modelane.bulk.readers.base import Source, reading
from modelane.bulk.schemas import joined
from modelane.errors import BulkError


def open_source(path: Path) -> Source:
    """Open a file.

    Raises:
        BulkError: the file does not exist, cannot be read, or has an unknown format.
    """
    opener = _opener(format_of(path))
    if not path.is_file():
        raise BulkError(f"cannot read {path}: {'not a file' if path.exists() else 'no such file'}")
    with reading(path):
        return opener(path)


def _opener(format_: Format) -> Callable[[Path], Source]:
    """Return the reader of a format, imported here because each of them is slow to import."""
    match format_:
        case "parquet":
            from modelane.bulk.readers.parquet import ParquetSource  # noqa: PLC0415

            return ParquetSource
        case "csv":
            from modelane.bulk.readers.csv import CsvSource  # noqa: PLC0415

            return CsvSource
        case "jsonl":
            from modelane.bulk.readers.json_lines import JsonLinesSource  # noqa: PLC0415

            return JsonLinesSource


def resized(batches: Iterator[pa.RecordBatch], n_rows: int) -> Iterator[pa.RecordBatch]:
    """Return the same rows in batches of exactly ``n_rows``; only the last batch may be smaller."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += len(batch)
        if n_waiting >= n_rows:
            table = joined(waiting)
            whole = n_waiting - n_waiting % n_rows
            for first in range(0, whole, n_rows):
                yield _single_batch(table.slice(first, n_rows))
            n_waiting -= whole
            waiting = [_single_batch(table.slice(whole))] if n_waiting else []
    if n_waiting:
        yield _single_batch(joined(waiting))


def _single_batch(table: pa.Table) -> pa.RecordBatch:
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else pa.RecordBatch.from_pylist([], schema=table.schema)
