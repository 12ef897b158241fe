"""The metrics, each as scikit-learn defines it, of many resamples at once.  answers, resample → METRICS.

In two classes, precision, recall, F1 and average precision are those of the positive class, the rarer
one; in more they are means over the classes that have rows, one against the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from modelane_training.evaluation.bootstrap import Resamples, once
from modelane_training.evaluation.predictions import Predictions
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

#: Metrics of which less is better.
LOSSES = frozenset({"log_loss", "brier", "ece", "rmse", "mae", "median_ae"})

#: What each means, for people.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "share of right answers",
        "balanced_accuracy": "mean over the classes of the share found",
        "precision": "of those said to be it, how many are",
        "recall": "of those that are it, how many are found",
        "f1": "harmonic mean of precision and recall",
        "roc_auc": "how often a positive row is ranked above a negative one",
        "average_precision": "area under the precision-recall curve",
        "log_loss": "mean surprise at the truth",
        "brier": "mean squared error of the probabilities",
        "ece": "mean gap between what was promised and what happened",
        "r2": "share of the variance that is explained",
        "rmse": "root of the mean squared error",
        "mae": "mean absolute error",
        "median_ae": "median absolute error",
    }
)

#: Bins of equal width by the share of the predicted class, for the expected calibration error.
CALIBRATION_BINS = 10

#: Distinct scores that resamples tell apart, of all classes together and at least of each.
_BINS, _MIN_BINS = 2000, 100

#: They take most of the time.
_RANKING = frozenset({"roc_auc", "average_precision"})

Floats = NDArray[np.float64]


def measure(
    answers: Predictions, resamples: Resamples | None = None, only: frozenset[str] | None = None
) -> dict[str, Floats]:
    """Every metric that can be computed, in each resample: (b,), NaN where a resample has no value.

    Without probabilities there is no log-loss, Brier score or calibration error; without scores
    neither ranking metric.

    Args:
        resamples: resamples of the very rows of ``answers``; by default the rows themselves, exactly (b = 1).
        only: metrics that are asked for, if not all are; there may be more.
    """
    bins = len(answers)
    if resamples is None:
        resamples = once(len(answers))
    elif answers.classes is None or answers.positive is not None:
        bins = _BINS // 2
    else:
        bins = max(_BINS // len(answers.classes), _MIN_BINS)
    with np.errstate(divide="ignore", invalid="ignore"):
        if answers.classes is None:
            return _regression(answers, resamples, bins)
        found = _labels(answers, resamples, len(answers.classes))
        if answers.scores is not None and (only is None or only & _RANKING):
            found |= _ranking(answers, answers.scores, resamples, bins)
        if answers.probabilities is not None:
            found |= _shares(answers, answers.probabilities, resamples)
        return found


def _labels(answers: Predictions, resamples: Resamples, k: int) -> dict[str, Floats]:
    truth, predicted = answers.truth, answers.predicted
    right = truth == predicted
    there = resamples.sum(cells=truth, n_cells=k)
    said = resamples.sum(cells=predicted, n_cells=k)
    found = resamples.sum(right, cells=truth, n_cells=k)
    # A class that no row has is nothing to find: who names it is wrong about a row of another one.
    concerned = (there + said > 0) & (np.bincount(truth, minlength=k) > 0)
    precision, recall, f1 = (
        np.where(concerned, np.where(of > 0, found / of, 0.0), np.nan)
        for of in (said, there, (said + there) / 2)
    )
    if (place := answers.positive) is not None:
        precision, recall, f1 = (
            np.where(concerned[:, place], values[:, place], 0.0) for values in (precision, recall, f1)
        )
    else:
        precision, recall, f1 = (_mean(values) for values in (precision, recall, f1))
    return {
        "accuracy": found.sum(1) / there.sum(1),
        "balanced_accuracy": _mean(np.where(there > 0, found / there, np.nan)),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def _shares(answers: Predictions, probabilities: Floats, resamples: Resamples) -> dict[str, Floats]:
    truth = answers.truth
    n = resamples.sum()[:, 0]
    of_truth = probabilities[np.arange(len(truth)), truth]
    surprise = -np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1.0))
    squares = (probabilities**2).sum(1) - 2 * of_truth + 1
    if answers.positive is not None:  # both columns say the same
        squares = squares / 2
    confidence, bins = confidences(answers, probabilities)
    gap = resamples.sum(confidence - (answers.predicted == truth), cells=bins, n_cells=CALIBRATION_BINS)
    return {
        "log_loss": resamples.sum(surprise)[:, 0] / n,
        "brier": resamples.sum(squares)[:, 0] / n,
        "ece": np.abs(gap).sum(1) / n,
    }


def confidences(answers: Predictions, probabilities: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The share that the predicted class was given, and its bin (C. Guo et al., 2017)."""
    confidence = probabilities[np.arange(len(answers)), answers.predicted]
    return confidence, np.minimum((confidence * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)


def ranked_classes(answers: Predictions) -> Iterator[int]:
    """Of two classes the positive one; of more each that is among the truth, and not all of it."""
    assert answers.classes is not None
    if answers.positive is not None:
        yield answers.positive
    else:
        counts = np.bincount(answers.truth, minlength=len(answers.classes))
        yield from np.flatnonzero((counts > 0) & (counts < len(answers))).tolist()


def _ranking(answers: Predictions, scores: Floats, resamples: Resamples, max_bins: int) -> dict[str, Floats]:
    areas, precisions = [], []
    for place in ranked_classes(answers):
        is_it = answers.truth == place
        bins, n_bins = _binned(scores[:, place], is_it, max_bins)
        hits = resamples.sum(is_it, cells=bins, n_cells=n_bins)
        misses = resamples.sum(~is_it, cells=bins, n_cells=n_bins)
        areas.append(_roc_auc(hits, misses))
        precisions.append(_average_precision(hits, misses))
    if not areas:
        return {}
    return {"roc_auc": _mean(np.stack(areas, 1)), "average_precision": _mean(np.stack(precisions, 1))}


def _binned(scores: Floats, is_it: NDArray[np.bool_], max_bins: int) -> tuple[NDArray[np.intp], int]:
    """The place of each score among the distinct ones, in at most ``max_bins`` bins.

    Positive and negative rows each fill half of the bins, so that few positives are told apart as well.
    """
    distinct, places = np.unique(scores, return_inverse=True)
    if len(distinct) <= max_bins:
        return places, len(distinct)
    mass = sum(
        np.bincount(places, weights=side, minlength=len(distinct)) / max(side.sum(), 1)
        for side in (is_it, ~is_it)
    )
    before = (np.cumsum(mass) - mass) / mass.sum()
    return np.minimum((before * max_bins).astype(np.intp), max_bins - 1)[places], max_bins


def _roc_auc(hits: Floats, misses: Floats) -> Floats:
    """Share of pairs in the right order, equal ones counted half; hits and misses (b, bins), ascending."""
    below = np.cumsum(misses, 1) - misses / 2
    area: Floats = np.einsum("bi,bi->b", hits, below) / (hits.sum(1) * misses.sum(1))
    return area


def _average_precision(hits: Floats, misses: Floats) -> Floats:
    """Σ (recall gained at a threshold) x (precision there), from the highest score down."""
    hits, misses = hits[:, ::-1], misses[:, ::-1]
    above = np.cumsum(hits, 1)
    total = above + np.cumsum(misses, 1)
    precision = np.divide(above, total, out=np.zeros_like(above), where=total > 0)
    area: Floats = np.einsum("bi,bi->b", hits, precision) / hits.sum(1)
    return area


def _regression(answers: Predictions, resamples: Resamples, max_bins: int) -> dict[str, Floats]:
    error = answers.truth - answers.predicted
    # R² does not change with the origin, and sums of squares far from it lose their digits.
    centred = answers.truth - answers.truth.mean()
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
    """Of bins of as many rows each, the middle of the one in which half of the rows are reached."""
    n_bins = min(max_bins, len(values))
    ranks = np.argsort(np.argsort(values, kind="stable"))
    middles = np.sort(values)[((np.arange(n_bins) + 0.5) * len(values) / n_bins).astype(np.intp)]
    counts = np.cumsum(resamples.sum(cells=ranks * n_bins // len(values), n_cells=n_bins), 1)
    half = counts[:, -1:] / 2
    reached, passed = np.argmax(counts >= half, axis=1), np.argmax(counts > half, axis=1)
    medians: Floats = (middles[reached] + middles[passed]) / 2
    return medians


def _mean(values: Floats) -> Floats:
    """Over classes (b, k) → (b,), those without a value left out."""
    there = ~np.isnan(values)
    n = there.sum(1)
    total: Floats = np.where(there, values, 0.0).sum(1)
    means: Floats = np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)
    return means
