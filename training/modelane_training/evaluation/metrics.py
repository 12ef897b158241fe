"""The metrics, each as scikit-learn defines it, computed for many resamples of the rows together.

With two classes, precision, recall, F1 and average precision are those of the positive class; with more, they
are means over the classes that occur in the rows, each against the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from modelane_training.evaluation.bootstrap import Floats, Resamples, without_resampling
from modelane_training.evaluation.classification_metrics import label_metrics, probability_metrics
from modelane_training.evaluation.predictions import Predictions
from modelane_training.evaluation.ranking_metrics import ranking_metrics
from modelane_training.evaluation.regression_metrics import regression_metrics
from modelane_worker.registry.card import Task

METRICS: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        "classification": (
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "roc_auc",
            "average_precision",
            "log_loss",
            "brier",
            "ece",
        ),
        "regression": ("r2", "rmse", "mae", "median_ae"),
    }
)

#: Metrics for which a smaller value is better.
LOSSES = frozenset({"log_loss", "brier", "ece", "rmse", "mae", "median_ae"})

#: What each metric means; the report shows it.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "share of correct predictions",
        "balanced_accuracy": "mean recall of the classes",
        "precision": "share of the rows predicted positive that are positive",
        "recall": "share of the positive rows that are predicted positive",
        "f1": "harmonic mean of precision and recall",
        "roc_auc": "probability that a positive row is ranked above a negative one",
        "average_precision": "area under the precision-recall curve",
        "log_loss": "mean negative logarithm of the probability of the true class",
        "brier": "mean squared error of the probabilities",
        "ece": "expected calibration error: mean gap between probability and frequency",
        "r2": "share of the variance that is explained",
        "rmse": "root of the mean squared error",
        "mae": "mean absolute error",
        "median_ae": "median absolute error",
    }
)

#: How many distinct scores resamples tell apart: of all classes together, and at least of each class.
_MAX_BINS, _MIN_BINS = 2000, 100

#: The metrics that take most of the time.
_RANKING = frozenset({"roc_auc", "average_precision"})


def measure(
    predictions: Predictions, resamples: Resamples | None = None, only: frozenset[str] | None = None
) -> dict[str, Floats]:
    """Compute every metric that the predictions allow, in each resample.

    Without probabilities there is no log-loss, Brier score or calibration error; without scores there is no
    ROC-AUC and no average precision.

    Args:
        predictions: the predictions of n rows.
        resamples: resamples of the same rows; default: the rows themselves, computed exactly (b = 1).
        only: the metrics that the caller needs, so that others may be skipped; default: all.

    Returns:
        The values (b,) of each metric; NaN where a resample has no value.
    """
    max_bins = len(predictions)
    if resamples is None:
        resamples = without_resampling(len(predictions))
    elif predictions.classes is None or predictions.positive is not None:
        max_bins = _MAX_BINS // 2
    else:
        max_bins = max(_MAX_BINS // len(predictions.classes), _MIN_BINS)
    with np.errstate(divide="ignore", invalid="ignore"):
        if predictions.classes is None:
            return regression_metrics(predictions, resamples, max_bins)
        found = label_metrics(predictions, resamples, len(predictions.classes))
        if predictions.scores is not None and (only is None or only & _RANKING):
            found |= ranking_metrics(predictions, predictions.scores, resamples, max_bins)
        if predictions.probabilities is not None:
            found |= probability_metrics(predictions, predictions.probabilities, resamples)
        return found
