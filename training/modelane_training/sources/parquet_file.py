"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet as arrow_parquet

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import Places
from modelane_training.sources.source import Reader


def parquet(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Reader:
    """A Parquet file, with the types that it has.

    Args:
        path: seen from where the program runs.
        max_bytes: a file that is larger once unpacked is refused.
    """

    def read() -> Raw:
        try:
            with arrow_parquet.ParquetFile(str(path)) as file:
                _check_size(file, path, max_bytes)
                table = file.read()
        except FileNotFoundError as exc:
            raise BadData(f"{path} cannot be read: No such file or directory") from exc
        except OSError as exc:
            raise BadData(f"{path} cannot be read: {exc.strerror or exc}") from exc
        except pa.ArrowException as exc:
            raise BadData(f"{path} cannot be read: {exc}") from exc
        return Raw(
            name=str(path),
            frame=_frame(table),
            places=Places(((str(path), 0),), first=1),
            missing=frozenset({""}),
        )

    return read


def _check_size(file: arrow_parquet.ParquetFile, path: str | Path, max_bytes: int) -> None:
    groups = range(file.metadata.num_row_groups)
    if sum(file.metadata.row_group(group).total_byte_size for group in groups) > max_bytes:
        raise BadData(f"{path} holds more than {max_bytes:,} bytes: train on a part of it")


def _frame(table: pa.Table) -> pd.DataFrame:
    # Whole numbers with gaps stay whole, so that large ones are not rounded; the names may be alike.
    names = table.column_names
    columns = {
        number: column.to_pandas(integer_object_nulls=True).reset_index(drop=True)
        for number, column in enumerate(table.columns)
    }
    frame = pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))
    frame.columns = pd.Index(names, dtype=object)
    return frame
