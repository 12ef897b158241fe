"""Metrics of predicted numbers."""

from __future__ import annotations

import numpy as np

from modelane_training.evaluation.bootstrap import Floats, Resamples
from modelane_training.evaluation.predictions import Predictions


def regression_metrics(predictions: Predictions, resamples: Resamples, max_bins: int) -> dict[str, Floats]:
    """Compute R², RMSE, MAE and the median absolute error: (b,) each.

    Args:
        predictions: the true and the predicted numbers.
        resamples: resamples of the rows.
        max_bins: distinct errors that the median tells apart; more are binned.
    """
    error = predictions.truth - predictions.predicted
    # R² does not depend on the origin, and sums of squares far from it lose digits.
    centred = predictions.truth - predictions.truth.mean()
    n = resamples.sum()[:, 0]
    squares = resamples.sum(error**2)[:, 0]
    spread = resamples.sum(centred**2)[:, 0] - resamples.sum(centred)[:, 0] ** 2 / n
    return {
        "r2": np.where(spread > 0, 1 - squares / spread, np.nan),
        "rmse": np.sqrt(squares / n),
        "mae": resamples.sum(np.abs(error))[:, 0] / n,
        "median_ae": _median(np.abs(error), resamples, max_bins),
    }


def _median(values: Floats, resamples: Resamples, max_bins: int) -> Floats:
    """Return the medians (b,), each as the middle of the bin in which half of the rows is reached."""
    n_bins = min(max_bins, len(values))
    ranks = np.argsort(np.argsort(values, kind="stable"))
    middles = np.sort(values)[((np.arange(n_bins) + 0.5) * len(values) / n_bins).astype(np.intp)]
    counts = np.cumsum(resamples.sum(cells=ranks * n_bins // len(values), n_cells=n_bins), 1)
    half = counts[:, -1:] / 2
    reached, passed = np.argmax(counts >= half, axis=1), np.argmax(counts > half, axis=1)
    medians: Floats = (middles[reached] + middles[passed]) / 2
    return medians
