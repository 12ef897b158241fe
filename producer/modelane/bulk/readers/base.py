"""What every reader provides: batches of rows, with a reason for each row that cannot be read.

A batch has the requested columns and one more, :data:`FAULT`. A row that cannot be read keeps its place, with
missing values, so that the rows of the output match the rows of the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from modelane.errors import BulkError

#: Column that says why a row cannot be read; null where it can. No file has a column of this name.
FAULT = "\0fault"


class Source(Protocol):
    """An input file.

    Attributes:
        names: the names of its columns; empty if every row may have its own columns.
        n_rows: the number of its rows; None: not known before the whole file is read.
        blank_is_missing: whether the format writes a missing value as an empty text.
    """

    names: tuple[str, ...]
    n_rows: int | None
    blank_is_missing: bool

    def batches(self, columns: Sequence[str], skip_rows: int, max_rows: int) -> Iterator[pa.RecordBatch]:
        """Return the rows in their order, with ``columns`` and :data:`FAULT`, in batches of any size.

        Args:
            columns: names without duplicates.
            skip_rows: number of rows to skip at the beginning.
            max_rows: the largest batch, if the format can limit it.
        """
        ...

    def types(self, columns: Sequence[str]) -> pa.Schema:
        """Return the types of columns, as far as they are known before a row is read."""
        ...

    def fraction_read(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate errors of pyarrow and of the operating system.

    Raises:
        BulkError: the file cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise BulkError(f"cannot read {path}: {exc}") from exc
