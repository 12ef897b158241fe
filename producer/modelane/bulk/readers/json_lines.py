"""JSON Lines: one object a line.  A line that is none keeps its place, with the reason in :data:`FAULT`.

pyarrow's own reader ends at the first line that it does not like, and takes its types from the first block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from modelane.bulk.readers.base import FAULT, reading
from modelane.bulk.schemas import text
from modelane.errors import BulkError

#: Bytes of one line.  A file without line ends is no JSON Lines, and must not be read as one.
MAX_LINE_BYTES = 16 * 2**20

_decoder = msgspec.json.Decoder()


class JsonLinesSource:
    """See :class:`modelane.bulk.readers.base.Source`."""

    names: tuple[str, ...] = ()
    n_rows: int | None = None
    blank_is_missing = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._n_bytes = 0

    def batches(self, columns: Sequence[str], skip_rows: int, max_rows: int) -> Iterator[pa.RecordBatch]:
        self._n_bytes = 0
        with reading(self._path), self._path.open("rb") as file:
            lines = islice(self._lines(file), skip_rows, None)
            while some := list(islice(lines, max_rows)):
                records, faults = zip(*map(_record, some), strict=True)
                arrays = [_array([record.get(name) for record in records]) for name in columns]
                yield pa.RecordBatch.from_arrays(
                    [*arrays, pa.array(faults, pa.string())], names=[*columns, FAULT]
                )

    def types(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([(name, pa.null()) for name in columns])

    def fraction_read(self) -> float:
        return self._n_bytes / max(1, self._size)

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Those that are not blank."""
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            self._n_bytes += len(line)
            if len(line) == MAX_LINE_BYTES:
                raise BulkError(
                    f"{self._path} line {number} has more than {MAX_LINE_BYTES} bytes: is it JSON Lines, one "
                    "object a line?"
                )
            if line.strip():
                yield line


def _record(line: bytes) -> tuple[dict[str, Any], str | None]:
    """An object, or an empty one and why."""
    try:
        found = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            found = json.loads(line)  # NaN and Infinity, which Python writes and no standard has
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair cannot be written again
        except (ValueError, RecursionError) as exc:
            return {}, f"no JSON: {exc}"
    except RecursionError:
        return {}, "no JSON that can be read: it is nested too deeply"
    return (found, None) if isinstance(found, dict) else ({}, "the line is no JSON object")


def _array(values: list[Any]) -> pa.Array:
    """A column, as text where its values are of several types."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([text(value) for value in values], pa.string())
