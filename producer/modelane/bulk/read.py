"""A file as batches of rows, whatever its format.  the disk → READ → typed.

A batch has the columns that were asked for and one more, :data:`FAULT`, so that rows out stay aligned with
rows in: a row that cannot be read is there too, its values missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from modelane.bulk.formats import Format, format_of
from modelane.bulk.unify import joined
from modelane.errors import BulkError

#: Column that says why a row cannot be read; missing where it can.  No file has a column of this name.
FAULT = "\0fault"


class Source(Protocol):
    """An input file.

    Attributes:
        names: of its columns; empty if only each row knows its own.
        n_rows: how many it has, if that is known before it is read.
        blank_is_missing: whether an empty text is how the format writes a missing value.
    """

    names: tuple[str, ...]
    n_rows: int | None
    blank_is_missing: bool

    def batches(self, columns: Sequence[str], skip_rows: int, max_rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in their order, ``columns`` and :data:`FAULT` of each; batches of any size.

        Args:
            columns: which, each one once.
            skip_rows: how many rows to leave out at the beginning.
            max_rows: of a batch, where the format can tell.
        """
        ...

    def types(self, columns: Sequence[str]) -> pa.Schema:
        """Of columns, as far as they are known before any row is read."""
        ...

    def fraction_read(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        ...


def open_source(path: Path) -> Source:
    """Raises :class:`BulkError`: no file of a format that we read."""
    opener = _opener(format_of(path))
    if not path.is_file():
        raise BulkError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    with reading(path):
        return opener(path)


def _opener(format_: Format) -> Callable[[Path], Source]:
    """Loaded when it is needed: each format costs time to import."""
    match format_:
        case "parquet":
            from modelane.bulk.read_parquet import ParquetSource  # noqa: PLC0415

            return ParquetSource
        case "csv":
            from modelane.bulk.read_csv import CsvSource  # noqa: PLC0415

            return CsvSource
        case "jsonl":
            from modelane.bulk.read_jsonl import JsonLinesSource  # noqa: PLC0415

            return JsonLinesSource


def resized(batches: Iterator[pa.RecordBatch], n_rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly ``n_rows``, but for the last one."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += len(batch)
        if n_waiting >= n_rows:
            table = joined(waiting)
            whole = n_waiting - n_waiting % n_rows
            for first in range(0, whole, n_rows):
                yield _one(table.slice(first, n_rows))
            n_waiting -= whole
            waiting = [_one(table.slice(whole))] if n_waiting else []
    if n_waiting:
        yield _one(joined(waiting))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises :class:`BulkError` for whatever pyarrow or the disk say of the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise BulkError(f"{path} cannot be read: {exc}") from exc


def _one(table: pa.Table) -> pa.RecordBatch:
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else pa.RecordBatch.from_pylist([], schema=table.schema)
