"""Turn what an estimator returned into one array whose item i answers row i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes

#: Largest sparse output, in bytes, that is converted to a dense array.
MAX_DENSE_BYTES = 256 * 2**20


def to_array(output: Any, n_rows: int) -> NDArray[Any]:
    """Return an estimator's output as an array with one item per row.

    Labels and numbers keep their dtype, and strings in an object array stay objects. A DataFrame (as with
    ``set_output``) becomes its values, and a sparse matrix a dense array. The outputs of a multi-output
    estimator, for which scikit-learn returns a list or tuple of arrays, become one array of shape (n,
    outputs) or (n, outputs, classes).

    Raises:
        ValueError: The output cannot become an array with one item per row.
    """
    if isinstance(output, list | tuple) and any(isinstance(part, np.ndarray) for part in output):
        values = _stacked(output)
    elif hasattr(output, "toarray"):
        values = _dense(output)
    else:
        values = np.asarray(output)
    if values.shape[:1] != (n_rows,):
        raise ValueError(f"returned {values.shape[0] if values.ndim else 'no'} rows for {n_rows} rows")
    return values.astype(datetimes.DTYPE, copy=False) if values.dtype.kind == "M" else values


def _stacked(parts: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    shapes = {np.shape(part) for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"returned {len(parts)} arrays of different shapes, which cannot be combined into one: "
            "call another method, or pass other params"
        )
    (shape,) = shapes
    # A list of one-dimensional arrays is a list of rows, not of outputs.
    is_multi_output = isinstance(parts, tuple) or len(shape) == 2
    return np.stack(parts, axis=1) if is_multi_output else np.asarray(parts)


def _dense(sparse: Any) -> NDArray[Any]:
    n_bytes = math.prod(sparse.shape) * sparse.dtype.itemsize
    if n_bytes > MAX_DENSE_BYTES:
        raise ValueError(
            f"returned a sparse matrix of shape {sparse.shape}, which takes {n_bytes} bytes as a dense array "
            f"(the limit is {MAX_DENSE_BYTES}): send fewer rows"
        )
    dense: NDArray[Any] = sparse.toarray()
    return dense
