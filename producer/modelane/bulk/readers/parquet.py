"""Read Parquet files a few pages at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modelane.bulk.readers.base import FAULT, reading

#: Bytes of each column that are read together. Without it, pyarrow reads a row group, which is often the
#: whole file.
BUFFER_BYTES = 2**20


class ParquetSource:
    """See :class:`modelane.bulk.readers.base.Source`."""

    blank_is_missing = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)
        self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self.n_rows: int | None = self._file.metadata.num_rows
        self._n_read = 0

    def batches(self, columns: Sequence[str], skip_rows: int, max_rows: int) -> Iterator[pa.RecordBatch]:
        groups = list(range(self._file.num_row_groups))
        self._n_read = 0
        while groups and self._n_read + (n_first := self._group_rows(groups[0])) <= skip_rows:
            self._n_read += n_first
            del groups[0]
        with reading(self._path):
            for batch in self._file.iter_batches(
                max_rows, row_groups=groups, columns=list(columns), use_threads=False
            ):
                wanted = batch.slice(max(0, min(len(batch), skip_rows - self._n_read)))
                self._n_read += len(batch)
                yield wanted.select(columns).append_column(FAULT, pa.nulls(len(wanted), pa.string()))

    def types(self, columns: Sequence[str]) -> pa.Schema:
        return pa.schema([self._file.schema_arrow.field(name) for name in columns])

    def fraction_read(self) -> float:
        return self._n_read / max(1, self.n_rows or 0)

    def _group_rows(self, group: int) -> int:
        n_rows: int = self._file.metadata.row_group(group).num_rows
        return n_rows
