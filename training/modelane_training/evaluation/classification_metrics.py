"""Metrics of predicted classes and of their probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelane_training.evaluation.bootstrap import Floats, Resamples
from modelane_training.evaluation.predictions import Predictions

#: Equally wide bins of the predicted class's probability, for the expected calibration error.
CALIBRATION_BINS = 10


def label_metrics(predictions: Predictions, resamples: Resamples, k: int) -> dict[str, Floats]:
    """Compute accuracy, balanced accuracy, precision, recall and F1 of k classes: (b,) each."""
    truth, predicted = predictions.truth, predictions.predicted
    n_true = resamples.sum(cells=truth, n_cells=k)
    n_predicted = resamples.sum(cells=predicted, n_cells=k)
    n_correct = resamples.sum(truth == predicted, cells=truth, n_cells=k)
    # A class that no row has is left out: predicting it is an error on a row of another class.
    occurs = (n_true + n_predicted > 0) & (np.bincount(truth, minlength=k) > 0)
    precision, recall, f1 = (
        np.where(occurs, np.where(of > 0, n_correct / of, 0.0), np.nan)
        for of in (n_predicted, n_true, (n_predicted + n_true) / 2)
    )
    if (positive := predictions.positive) is not None:
        precision, recall, f1 = (
            np.where(occurs[:, positive], values[:, positive], 0.0) for values in (precision, recall, f1)
        )
    else:
        precision, recall, f1 = (mean_over_classes(values) for values in (precision, recall, f1))
    return {
        "accuracy": n_correct.sum(1) / n_true.sum(1),
        "balanced_accuracy": mean_over_classes(np.where(n_true > 0, n_correct / n_true, np.nan)),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def probability_metrics(
    predictions: Predictions, probabilities: Floats, resamples: Resamples
) -> dict[str, Floats]:
    """Compute log-loss, Brier score and expected calibration error from probabilities (n, k): (b,) each."""
    truth = predictions.truth
    n = resamples.sum()[:, 0]
    of_truth = probabilities[np.arange(len(truth)), truth]
    log_losses = -np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1.0))
    squares = (probabilities**2).sum(1) - 2 * of_truth + 1
    if predictions.positive is not None:  # the errors of two classes are equal: count them once
        squares = squares / 2
    confidence, bins = confidences(predictions, probabilities)
    gaps = resamples.sum(confidence - (predictions.predicted == truth), cells=bins, n_cells=CALIBRATION_BINS)
    return {
        "log_loss": resamples.sum(log_losses)[:, 0] / n,
        "brier": resamples.sum(squares)[:, 0] / n,
        "ece": np.abs(gaps).sum(1) / n,
    }


def confidences(predictions: Predictions, probabilities: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the probability (n,) of each predicted class, and its bin (n,) (C. Guo et al., 2017)."""
    confidence = probabilities[np.arange(len(predictions)), predictions.predicted]
    return confidence, np.minimum((confidence * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)


def mean_over_classes(values: Floats) -> Floats:
    """Return the means (b,) of values (b, k), without NaN; NaN where a resample has no value."""
    present = ~np.isnan(values)
    n = present.sum(1)
    total: Floats = np.where(present, values, 0.0).sum(1)
    means: Floats = np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)
    return means
