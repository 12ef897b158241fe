"""Write the output file in the format of its name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from modelane.bulk.formats import Format
from modelane.bulk.schemas import conform


class Sink(Protocol):
    """An output file that is being written."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


def write_file(path: Path, format_: Format, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write a file and sync it to disk. Not atomic: the caller renames the finished file.

    Args:
        path: the file; replaced if it exists.
        format_: format of the file.
        schema: schema of all batches.
        batches: the rows.

    Raises:
        OSError: the file cannot be written.
    """
    with closing(_open(path, format_, schema)) as sink:
        for batch in batches:
            sink.write(batch)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _open(path: Path, format_: Format, schema: pa.Schema) -> Sink:
    match format_:
        case "parquet":
            return _Parquet(path, schema)
        case "csv":
            return _Csv(path, schema)
        case "jsonl":
            return _JsonLines(path)


class _Parquet:
    #: Rows per row group: enough to compress well, and small in memory.
    GROUP_ROWS = 2**17

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415  slow to import

        self._writer = pq.ParquetWriter(path, schema)
        self._waiting: list[pa.RecordBatch] = []
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        if sum(map(len, self._waiting)) >= self.GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting = []


class _Csv:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.csv as pc  # noqa: PLC0415  slow to import

        # CSV has no notation for lists and objects: they are written as JSON.
        nested = [pa.types.is_nested(field.type) for field in schema]
        self._schema = pa.schema(
            [
                field.with_type(pa.string()) if is_nested else field
                for field, is_nested in zip(schema, nested, strict=True)
            ]
        )
        self._writer = pc.CSVWriter(str(path), self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write(conform(batch, self._schema))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(self._encoder.encode_lines(batch.to_pylist()))

    def close(self) -> None:
        self._file.close()
