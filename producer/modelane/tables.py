"""What a caller passes as rows, made ready to travel."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelane.errors import BadInput
from modelane.tensors import Tensor


def to_rows(
    rows: Any,
    columns: tuple[str, ...] | None = None,
) -> tuple[Tensor | list[Any], tuple[str, ...] | None, int]:
    """Rows as they travel, their columns if they name them, and how many there are.

    Args:
        rows: a numpy array (n, d), a list of n rows, a list of n records, or a pandas or polars frame.
        columns: names in the rows' order, where rows do not name them.

    Raises:
        BadInput: not tabular.
    """
    if columns is None and hasattr(rows, "columns") and hasattr(rows, "to_numpy"):
        columns = tuple(map(str, rows.columns))
        rows = rows.to_numpy()
    if isinstance(rows, list | tuple):
        rows = _from_list(list(rows))
    if isinstance(rows, list):
        return rows, columns, len(rows)
    array = np.asarray(rows)
    if array.ndim != 2:
        raise BadInput(
            f"rows must have two dimensions (rows, columns), these have {array.ndim}: for one row, pass [row]"
        )
    if array.dtype == object:
        return array.tolist(), columns, len(array)
    return Tensor.of(array), columns, len(array)


def _from_list(rows: list[Any]) -> Any:
    """An array if all rows are numbers of one width; the list itself if the worker has to look closer."""
    if not rows:
        raise BadInput("there are no rows")
    if isinstance(rows[0], dict):
        return rows
    try:
        array = np.asarray(rows)
    except ValueError:  # rows of different widths: the worker tells which
        return rows
    return array if array.dtype.kind in "biuf" else rows
