"""Scored rows on disk, saved in parts, so that a crash loses only the last few seconds of work.

A finished part is named ``FIRST-ROWS-ERRORS.arrow``: the number of its first row, of its rows, and of the
rows that could not be scored. The names alone say where to resume. The part that is being written is named
``part``; a file of this name that a crash left behind is never read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from modelane import atomic_files
from modelane.errors import BulkError

#: Seconds of answers in one part, and so the work that a crash may lose.
PART_S = 5.0

UNFINISHED = "part"
SUFFIX = ".arrow"


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part."""

    path: Path
    first_row: int
    n_rows: int
    n_errors: int

    @classmethod
    def at(cls, path: Path) -> Part:
        return cls(path, *map(int, path.stem.split("-")))

    def schema(self) -> pa.Schema:
        with pa.memory_map(str(self.path)) as file:
            return pyarrow.ipc.open_file(file).schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self.path)) as file, pyarrow.ipc.open_file(file) as opened:
            for number in range(opened.num_record_batches):
                yield opened.get_batch(number)


def finished_parts(folder: Path) -> list[Part]:
    """Return all finished parts in the order of their rows.

    Raises:
        BulkError: a part is missing between two others.
    """
    parts, n_rows = [Part.at(path) for path in sorted(folder.glob(f"*{SUFFIX}"))], 0
    for part in parts:
        if part.first_row != n_rows:
            raise BulkError(f"{folder} is damaged (no rows from row {n_rows} on): start over with --restart")
        n_rows += part.n_rows
    return parts


class PartWriter:
    """Writes the parts of one run; not thread-safe.

    Args:
        folder: where the parts go.
        first_row: number of the first row that no part holds yet.
        clock: returns seconds.
    """

    def __init__(self, folder: Path, first_row: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._first_row = first_row
        self._clock = clock
        self._open: _OpenPart | None = None

    def add(self, batch: pa.RecordBatch, n_errors: int) -> None:
        """Append rows to the current part, or begin another part.

        Raises:
            OSError: the part cannot be written.
        """
        if self._open is not None and (
            self._open.is_due(self._clock()) or not self._open.schema.equals(batch.schema)
        ):
            self.complete()
        if self._open is None:
            self._open = _OpenPart(self._folder / UNFINISHED, batch.schema, self._clock() + PART_S)
        self._open.add(batch, n_errors)

    def complete(self) -> None:
        """Finish the current part on disk. May also be called after an interrupt at any point of :meth:`add`.

        Raises:
            OSError: the part cannot be written.
        """
        opened, self._open = self._open, None
        if opened is None:
            return
        n_rows, n_errors = opened.close()
        if n_rows:
            name = f"{self._first_row:015}-{n_rows}-{n_errors}{SUFFIX}"
            (self._folder / UNFINISHED).rename(self._folder / name)
            atomic_files.sync_folder(self._folder)
            self._first_row += n_rows


class _OpenPart:
    def __init__(self, path: Path, schema: pa.Schema, due_s: float) -> None:
        self.schema = schema
        self._path = path
        self._due_s = due_s
        self._counts: list[tuple[int, int]] = []
        options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pyarrow.ipc.new_file(str(path), schema, options=options)

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._due_s

    def add(self, batch: pa.RecordBatch, n_errors: int) -> None:
        self._counts.append((len(batch), n_errors))
        self._writer.write_batch(batch)

    def close(self) -> tuple[int, int]:
        """Complete the file on disk; return its numbers of rows and of failed rows."""
        # An interrupt may have come between counting a batch and writing it.
        written = self._counts[: self._writer.stats.num_record_batches]
        self._writer.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        return sum(n for n, _ in written), sum(n for _, n in written)
