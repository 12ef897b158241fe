"""Compare predicted probabilities with observed frequencies."""

from __future__ import annotations

import numpy as np

from modelane_training.evaluation.classification_metrics import CALIBRATION_BINS, confidences
from modelane_training.evaluation.predictions import Predictions
from modelane_training.report.diagnostics import CalibrationBin


def calibration(answers: Predictions) -> tuple[CalibrationBin, ...]:
    """Return the bins that contain rows.

    With two classes, by the probability of the positive one; with more, by that of the predicted class.
    """
    if answers.probabilities is None:
        return ()
    if answers.positive is not None:
        predicted = answers.probabilities[:, answers.positive]
        observed = answers.truth == answers.positive
        bins = np.minimum((predicted * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    else:
        predicted, bins = confidences(answers, answers.probabilities)
        observed = answers.truth == answers.predicted
    counts, predicted_sums, observed_sums = (
        np.bincount(bins, weights=weights, minlength=CALIBRATION_BINS)
        for weights in (None, predicted, observed)
    )
    return tuple(
        CalibrationBin(
            promised=float(predicted_sums[number] / counts[number]),
            happened=float(observed_sums[number] / counts[number]),
            n_rows=int(counts[number]),
        )
        for number in np.flatnonzero(counts)
    )
