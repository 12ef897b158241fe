"""ROC-AUC and average precision: metrics of the order in which scores put the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelane_training.evaluation.bootstrap import Floats, Resamples
from modelane_training.evaluation.classification_metrics import mean_over_classes
from modelane_training.evaluation.predictions import Predictions


def ranking_metrics(
    predictions: Predictions, scores: Floats, resamples: Resamples, max_bins: int
) -> dict[str, Floats]:
    """Compute ROC-AUC and average precision from scores (n, k): (b,) each; nothing if no class can be ranked.

    Args:
        predictions: the true classes.
        scores: (n, k); a larger score means that the class is more likely.
        resamples: resamples of the rows.
        max_bins: distinct scores that are told apart; more are binned.
    """
    areas, precisions = [], []
    for label in ranked_classes(predictions):
        is_label = predictions.truth == label
        bins, n_bins = _binned(scores[:, label], is_label, max_bins)
        hits = resamples.sum(is_label, cells=bins, n_cells=n_bins)
        misses = resamples.sum(~is_label, cells=bins, n_cells=n_bins)
        areas.append(_roc_auc(hits, misses))
        precisions.append(_average_precision(hits, misses))
    if not areas:
        return {}
    return {
        "roc_auc": mean_over_classes(np.stack(areas, 1)),
        "average_precision": mean_over_classes(np.stack(precisions, 1)),
    }


def ranked_classes(predictions: Predictions) -> Iterator[int]:
    """Yield the indices of the classes that are ranked.

    With two classes it is the positive one; with more, each class that some of the rows have, but not all.
    """
    assert predictions.classes is not None
    if predictions.positive is not None:
        yield predictions.positive
    else:
        counts = np.bincount(predictions.truth, minlength=len(predictions.classes))
        yield from np.flatnonzero((counts > 0) & (counts < len(predictions))).tolist()


def _binned(scores: Floats, is_label: NDArray[np.bool_], max_bins: int) -> tuple[NDArray[np.intp], int]:
    """Return the bin (n,) of each score, in ascending order, and the number of bins.

    Positive and negative rows each fill half of the bins, so that a few positive rows are told apart too.
    """
    distinct, positions = np.unique(scores, return_inverse=True)
    if len(distinct) <= max_bins:
        return positions, len(distinct)
    mass = sum(
        np.bincount(positions, weights=side, minlength=len(distinct)) / max(side.sum(), 1)
        for side in (is_label, ~is_label)
    )
    before = (np.cumsum(mass) - mass) / mass.sum()
    return np.minimum((before * max_bins).astype(np.intp), max_bins - 1)[positions], max_bins


def _roc_auc(hits: Floats, misses: Floats) -> Floats:
    """Return the share of pairs in the right order, ties counted half, from ascending bins (b, n_bins)."""
    below = np.cumsum(misses, 1) - misses / 2
    area: Floats = np.einsum("bi,bi->b", hits, below) / (hits.sum(1) * misses.sum(1))
    return area


def _average_precision(hits: Floats, misses: Floats) -> Floats:
    """Return Σ (recall gained at a threshold) x (precision there), from the highest score down."""
    hits, misses = hits[:, ::-1], misses[:, ::-1]
    above = np.cumsum(hits, 1)
    total = above + np.cumsum(misses, 1)
    precision = np.divide(above, total, out=np.zeros_like(above), where=total > 0)
    area: Floats = np.einsum("bi,bi->b", hits, precision) / hits.sum(1)
    return area
