"""An answer as columns with names, for tables and files.  prediction → NAMED → a table, a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import PredictionFailed

PREDICTION = "prediction"

#: Methods that answer with a column a class.
_BY_CLASS = frozenset({"predict_proba", "predict_log_proba", "decision_function"})


def named(values: NDArray[Any], method: str, classes: Sequence[Any] | None) -> dict[str, NDArray[Any]]:
    """One array (n,) a column: ``prediction``, or ``<method>_<class>`` where an answer is a row of numbers.

    Args:
        values: shape (n,) or (n, k).
        method: that gave them.
        classes: of the model; None if it has none.  Columns that no class belongs to are numbered from 0.

    Raises:
        PredictionFailed: a method that answers with more dimensions.
    """
    if values.ndim == 1:
        return {PREDICTION: values}
    if values.ndim != 2:
        raise PredictionFailed(f"{method} answers with {values.ndim} dimensions, a table has two")
    width = values.shape[1]
    by_class = method in _BY_CLASS and classes is not None and len(classes) == width
    names: Sequence[Any] = classes if by_class and classes is not None else range(width)
    return {f"{method}_{name}": np.ascontiguousarray(values[:, n]) for n, name in enumerate(names)}
