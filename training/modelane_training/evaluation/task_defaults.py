"""What a recipe need not say because the target shows it: the task, the metric and the positive class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane_worker.registry.card import Scalar, Task

#: Whole numbers with more distinct values than this, or fewer rows for each, are amounts and not classes.
MAX_NUMBERED_CLASSES = 20
MIN_ROWS_PER_CLASS = 5

#: The rarer of two classes is the positive one; from this share on, both count as equally frequent.
_BALANCED = 0.45


def infer_task(targets: NDArray[Any]) -> Task:
    """Return ``classification`` for strings and for few distinct whole numbers, else ``regression``.

    Args:
        targets: (n,); missing ones (NaN) are ignored.
    """
    if targets.dtype.kind not in "iuf":
        return "classification"
    present = targets[np.isfinite(targets)] if targets.dtype.kind == "f" else targets
    if (present != np.floor(present)).any():
        return "regression"
    distinct = len(np.unique(present))
    few = distinct <= MAX_NUMBERED_CLASSES and distinct * MIN_ROWS_PER_CLASS <= len(present)
    return "classification" if few or distinct <= 2 else "regression"


def default_metric(targets: NDArray[Any], task: Task, *, has_probabilities: bool) -> str:
    """Return ``r2`` for a regression, ``roc_auc`` for two classes, and ``accuracy`` otherwise.

    Args:
        targets: (n,); their classes are counted.
        task: what is predicted.
        has_probabilities: whether every candidate has probabilities or scores, which ROC-AUC needs.
    """
    if task == "regression":
        return "r2"
    return "roc_auc" if has_probabilities and len(np.unique(targets)) == 2 else "accuracy"


def positive_class(targets: NDArray[Any]) -> Scalar:
    """Return the rarer of two classes, or the second if they are balanced; None if there are more classes."""
    classes, counts = np.unique(targets, return_counts=True)
    if len(classes) != 2:
        return None
    label: Scalar = classes.tolist()[int(counts[0] >= _BALANCED * len(targets))]
    return label
