"""Split an answer into named columns, for tables and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import PredictionFailed

PREDICTION = "prediction"

#: Methods that return one column per class.
_BY_CLASS = frozenset({"predict_proba", "predict_log_proba", "decision_function"})


def named_columns(
    values: NDArray[Any], method: str, classes: Sequence[Any] | None
) -> dict[str, NDArray[Any]]:
    """Return the columns of an answer by name.

    Args:
        values: shape (n,) or (n, k).
        method: method that returned them.
        classes: classes of the model; None if it has none.

    Returns:
        Name → array of shape (n,): ``prediction`` for values of shape (n,); for shape (n, k)
        ``<method>_<class>``, or ``<method>_<number>`` counted from 0 if the columns do not belong to classes.

    Raises:
        PredictionFailed: the values have more than two dimensions.
    """
    if values.ndim == 1:
        return {PREDICTION: values}
    if values.ndim != 2:
        raise PredictionFailed(
            f"{method} returned an array of {values.ndim} dimensions, which are not columns: expected 1 or 2"
        )
    width = values.shape[1]
    by_class = method in _BY_CLASS and classes is not None and len(classes) == width
    names: Sequence[Any] = classes if by_class and classes is not None else range(width)
    return {f"{method}_{name}": np.ascontiguousarray(values[:, n]) for n, name in enumerate(names)}
