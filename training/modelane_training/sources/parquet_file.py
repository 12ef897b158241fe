"""Parquet files, as a source."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet as arrow_parquet

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import RowLocations
from modelane_training.sources.file_errors import file_errors, too_large
from modelane_training.sources.source import Reader


def parquet(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Reader:
    """Read a Parquet file, with the types that it has.

    Args:
        path: the file; a relative path starts at the current directory of the program that trains.
            ``Path(__file__).with_name("churn.parquet")`` is next to the recipe.
        max_bytes: the largest size of the unpacked data, in bytes; default: 4 GiB.

    Returns:
        A source. It raises ``BadData`` if the file is missing, is too large, or is not a Parquet file.

    Example:
        >>> source = parquet("churn.parquet")
    """

    def read() -> Raw:
        try:
            with file_errors(path), arrow_parquet.ParquetFile(str(path)) as file:
                _check_size(file, path, max_bytes)
                table = file.read()
        except pa.ArrowException as exc:
            raise BadData(f"{path} cannot be read as Parquet: {exc}") from exc
        return Raw(
            name=str(path),
            frame=_frame(table),
            places=RowLocations(((str(path), 0),), first=1),
            missing=frozenset({""}),
        )

    return read


def _check_size(file: arrow_parquet.ParquetFile, path: str | Path, max_bytes: int) -> None:
    groups = range(file.metadata.num_row_groups)
    if sum(file.metadata.row_group(group).total_byte_size for group in groups) > max_bytes:
        raise too_large(str(path), max_bytes)


def _frame(table: pa.Table) -> pd.DataFrame:
    # Whole numbers with gaps stay whole, so that large ones are not rounded; column names may be repeated.
    columns = {
        number: column.to_pandas(integer_object_nulls=True).reset_index(drop=True)
        for number, column in enumerate(table.columns)
    }
    frame = pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))
    frame.columns = pd.Index(table.column_names, dtype=object)
    return frame
