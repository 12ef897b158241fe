"""The baseline that a candidate must beat: a constant prediction that ignores the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from modelane_training.evaluation.predictions import Predictions, predict
from modelane_worker.registry.card import Scalar, Task

#: Metrics for which the median is the best constant; for the others it is the mean.
_BY_MEDIAN = frozenset({"mae", "median_ae"})


def baseline(
    training: NDArray[Any], truth: NDArray[Any], task: Task, metric: str, *, positive: Scalar
) -> Predictions:
    """Predict the hold-out from the distribution of the training targets alone.

    For a classification, the predicted class is the most frequent one and the probabilities are the shares of
    the classes. For a regression it is the mean, or the median if that is best for ``metric``.

    Args:
        training: (m,); the targets of the training rows.
        truth: (n,); the targets of the hold-out.
        task: what is predicted.
        metric: what the recipe compares.
        positive: see :func:`~modelane_training.evaluation.predictions.predict`.
    """
    if task == "classification":
        constant = DummyClassifier(strategy="prior")
    else:
        constant = DummyRegressor(strategy="median" if metric in _BY_MEDIAN else "mean")
    constant.fit(np.zeros((len(training), 1)), training)
    return predict(constant, np.zeros((len(truth), 1)), truth, task, positive=positive)
