"""What an estimator said, as one array whose item i answers row i.  engine → ANSWERS → batch → results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes

#: Bytes that a sparse answer may take when it is written out.
MAX_DENSE_BYTES = 256 * 2**20


def to_array(answered: Any, n_rows: int) -> NDArray[Any]:
    """Labels and numbers keep their dtype; strings of objects stay objects.

    A frame (``set_output``) becomes its values; a sparse matrix is written out; several outputs, which
    scikit-learn gives as a list or a tuple of arrays, become one array with a place for each: (n, outputs)
    or (n, outputs, classes).

    Raises:
        ValueError: it is nothing of this, or not one item a row.
    """
    if isinstance(answered, list | tuple) and any(isinstance(part, np.ndarray) for part in answered):
        values = _in_one(answered)
    elif hasattr(answered, "toarray"):
        values = _written_out(answered)
    else:
        values = np.asarray(answered)
    if values.shape[:1] != (n_rows,):
        raise ValueError(f"answered {values.shape[0] if values.ndim else 'no'} rows to {n_rows}")
    return values.astype(datetimes.DTYPE, copy=False) if values.dtype.kind == "M" else values


def _in_one(parts: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    shapes = {np.shape(part) for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"answered with {len(parts)} arrays of different shapes, which do not fit into one: "
            "ask for another method, or with other params"
        )
    (shape,) = shapes
    # A list of arrays of one dimension is a row each, as any list.
    is_outputs = isinstance(parts, tuple) or len(shape) == 2
    return np.stack(parts, axis=1) if is_outputs else np.asarray(parts)


def _written_out(sparse: Any) -> NDArray[Any]:
    n_bytes = math.prod(sparse.shape) * sparse.dtype.itemsize
    if n_bytes > MAX_DENSE_BYTES:
        raise ValueError(
            f"a sparse answer of shape {sparse.shape} takes {n_bytes} bytes when written out, "
            f"at most {MAX_DENSE_BYTES} are: send fewer rows"
        )
    dense: NDArray[Any] = sparse.toarray()
    return dense
