"""Read JSON Lines: one object per line. Any other line keeps its place, with the reason in :data:`FAULT`.

pyarrow's own reader stops at the first invalid line, and takes the types of all columns from the first block.
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
from modelane.bulk.schemas import as_text
from modelane.errors import BulkError

#: The longest line in bytes. A file without line ends is not JSON Lines and must not be read into memory.
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
            while chunk := list(islice(lines, max_rows)):
                records, faults = zip(*map(_record, chunk), strict=True)
                arrays = [_array([record.get(name) for record in records]) for name in columns]
                yield pa.RecordBatch.from_arrays(
                    [*arrays, pa.array(faults, pa.string())], names=[*columns, FAULT]
                )

    def types(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([(name, pa.null()) for name in columns])

    def fraction_read(self) -> float:
        return self._n_bytes / max(1, self._size)

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Return the lines that are not blank."""
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            self._n_bytes += len(line)
            if len(line) == MAX_LINE_BYTES:
                raise BulkError(
                    f"cannot read {self._path}: line {number} is longer than {MAX_LINE_BYTES} bytes; "
                    "expected JSON Lines, one object per line"
                )
            if line.strip():
                yield line


def _record(line: bytes) -> tuple[dict[str, Any], str | None]:
    """Return the object in a line; or an empty object, and why the line has none."""
    try:
        found = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            found = json.loads(
                line
            )  # accepts NaN and Infinity, which Python writes although JSON has neither
            json.dumps(
                found, ensure_ascii=False
            ).encode()  # half of a surrogate pair cannot be written to the output
        except (ValueError, RecursionError) as exc:
            return {}, f"the line is not valid JSON: {exc}"
    except RecursionError:
        return {}, "the line is not valid JSON: it is nested too deeply"
    return (found, None) if isinstance(found, dict) else ({}, "the line is not a JSON object")


def _array(values: list[Any]) -> pa.Array:
    """Return a column; as text if its values have several types."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([as_text(value) for value in values], pa.string())
