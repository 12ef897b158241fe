"""Answered rows on the disk, piece by piece, so that a kill loses the last few seconds only.

A part is named ``FIRST-ROWS-ERRORS.arrow`` when it is whole and on the disk: the names alone say where to go
on.  One that is being written, or was left by a kill, is named ``part`` and read by nobody.
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

#: Seconds of answers in one part: what a kill may cost.
PART_S = 5.0

BEING_WRITTEN = "part"
SUFFIX = ".arrow"


@dataclass(frozen=True, slots=True)
class Part:
    """One that is whole."""

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


def whole_parts(folder: Path) -> list[Part]:
    """In the order of their rows.

    Raises:
        BulkError: rows are missing between them.
    """
    parts, n_rows = [Part.at(path) for path in sorted(folder.glob(f"*{SUFFIX}"))], 0
    for part in parts:
        if part.first_row != n_rows:
            raise BulkError(
                f"{folder} is damaged, rows from {n_rows} on are missing: begin anew with --restart"
            )
        n_rows += part.n_rows
    return parts


class Parts:
    """Writes the parts of one run; used by one thread.

    Args:
        folder: of the run.
        first_row: the first one that is not in a part yet.
        clock: seconds.
    """

    def __init__(self, folder: Path, first_row: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._first_row = first_row
        self._clock = clock
        self._open: _Open | None = None

    def add(self, batch: pa.RecordBatch, n_errors: int) -> None:
        """Raises :class:`OSError`: the disk refuses."""
        if self._open is not None and (
            self._open.is_due(self._clock()) or not self._open.schema.equals(batch.schema)
        ):
            self.complete()
        if self._open is None:
            self._open = _Open(self._folder / BEING_WRITTEN, batch.schema, self._clock() + PART_S)
        self._open.add(batch, n_errors)

    def complete(self) -> None:
        """Bring what is there to the disk; also after an interrupt, in whatever line it came.

        Raises:
            OSError: the disk refuses.
        """
        opened, self._open = self._open, None
        if opened is None:
            return
        n_rows, n_errors = opened.close()
        if n_rows:
            name = f"{self._first_row:015}-{n_rows}-{n_errors}{SUFFIX}"
            (self._folder / BEING_WRITTEN).rename(self._folder / name)
            atomic_files.sync_folder(self._folder)
            self._first_row += n_rows


class _Open:
    """The part that is being written."""

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
        """Rows and errors that are in it."""
        # An interrupt may have come between counting a batch and writing it.
        written = self._counts[: self._writer.stats.num_record_batches]
        self._writer.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        return sum(n for n, _ in written), sum(n for _, n in written)
