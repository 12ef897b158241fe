"""What a model must beat to be one: an estimator that never looks at a row.  split → BASELINE → evaluate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from modelane_training.evaluation.predictions import Predictions, predict
from modelane_worker.registry.card import Scalar, Task

#: Of these the median is the best constant; of squares it is the mean.
_BY_MEDIAN = frozenset({"mae", "median_ae"})


def baseline(
    training: NDArray[Any], truth: NDArray[Any], task: Task, metric: str, *, positive: Scalar
) -> Predictions:
    """Predictions that know the targets trained on, and nothing of the rows.

    Of a classification: the most frequent class, each class by its share.  Of a regression: the mean, or
    the median if that is what ``metric`` asks for.

    Args:
        training: targets trained on.
        truth: targets held out.
        positive: see :func:`~modelane_training.evaluation.predictions.predict`.
    """
    if task == "classification":
        constant = DummyClassifier(strategy="prior")
    else:
        constant = DummyRegressor(strategy="median" if metric in _BY_MEDIAN else "mean")
    constant.fit(np.zeros((len(training), 1)), training)
    return predict(constant, np.zeros((len(truth), 1)), truth, task, positive=positive)
