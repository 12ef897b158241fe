"""What every reader gives: batches of rows, and a reason for each row that cannot be read.

A batch has the columns that were asked for and one more, :data:`FAULT`, so that rows out stay aligned with
rows in: a row that cannot be read keeps its place, and its values are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

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


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises :class:`BulkError` for whatever pyarrow or the disk say of the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise BulkError(f"{path} cannot be read: {exc}") from exc
