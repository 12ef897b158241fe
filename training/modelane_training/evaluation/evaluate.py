"""Evaluate a candidate on the hold-out, next to the champion and the baseline.

All three predict the same rows once, and all intervals are computed from the same resamples of these rows, so
the comparison is paired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from modelane.errors import RecipeError
from modelane_training.evaluation.bootstrap import LEVEL, Floats, Resamples, interval
from modelane_training.evaluation.metrics import LOSSES, measure
from modelane_training.evaluation.predictions import Predictions
from modelane_training.evaluation.results import Evaluation, Gain, Interval, Scores, SliceScores
from modelane_training.evaluation.slices import NO_SLICES, Slice, Slices
from modelane_worker.registry.card import Scalar

#: Resamples for the interval of a slice: its width comes from their spread, which needs fewer of them than
#: the percentiles of an interval.
_SLICE_RESAMPLES = 200

#: Metrics that are not between 0 and 1.
_UNBOUNDED = frozenset({"log_loss", "rmse", "mae", "median_ae", "r2"})


def assess(  # noqa: PLR0913  # who is compared, and on what
    metric: str,
    candidate: Predictions,
    resamples: Resamples,
    *,
    baseline: Predictions | None = None,
    champion: Predictions | None = None,
    slices: Slices = NO_SLICES,
) -> Evaluation:
    """Return everything that the gate and the report need to know about the hold-out.

    Args:
        metric: what the gate compares.
        candidate: its predictions of the hold-out.
        resamples: resamples of the hold-out.
        baseline: predictions of the same rows, by a constant.
        champion: predictions of the same rows; None if there is no champion, or it cannot predict them.
        slices: the parts of the hold-out to evaluate separately.

    Raises:
        RecipeError: the metric cannot be computed for the candidate.
    """
    ours = _measured(candidate, resamples)
    if metric not in ours.points:
        raise RecipeError(
            f"the metric {metric} cannot be computed for this estimator on the hold-out: "
            f"expected one of {', '.join(ours.points)}"
        )
    floor = None if baseline is None else _measured(baseline, resamples)
    theirs = None if champion is None else _measured(champion, resamples)
    return Evaluation(
        metric=metric,
        n_rows=len(candidate),
        n_units=resamples.n_units,
        scores=ours.scores(),
        positive=candidate.positive_label,
        baseline=None if floor is None else floor.scores(),
        over_baseline=None if floor is None else ours.gain(floor, metric),
        champion=None if theirs is None else theirs.scores(),
        forgotten=_forgotten(candidate, champion),
        gains=_gains(ours, theirs),
        slices=_slices(metric, candidate, champion, resamples, slices.judged),
        unjudged=slices.left_out,
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The metrics of one estimator, on the rows themselves and on their resamples."""

    points: dict[str, float]
    resampled: Mapping[str, Floats]  #: (b,) of each metric
    n_units: int

    def scores(self) -> Scores:
        found = {name: self._interval(name) for name in self.points}
        return Scores(
            metrics=self.points, intervals={name: ends for name, ends in found.items() if ends is not None}
        )

    def _interval(self, name: str) -> Interval | None:
        point, values = self.points[name], self.resampled[name]
        if name != "ece":
            return interval(values, self.n_units)
        # A resample differs from the hold-out as the hold-out differs from the population. The absolute gaps
        # add up, so the calibration error of the resamples is too large by as much: mirror them.
        mirrored = interval(2 * point - values, self.n_units)
        return mirrored and (max(mirrored[0], 0.0), max(mirrored[1], 0.0))

    def gain(self, other: _Measured, name: str) -> Gain | None:
        if name not in other.points:
            return None
        sign = -1 if name in LOSSES else 1
        ends = interval(sign * (self.resampled[name] - other.resampled[name]), self.n_units)
        if ends is None:
            return None
        value = sign * (self.points[name] - other.points[name])
        return Gain(value=value, low=ends[0], high=ends[1])


def _measured(
    predictions: Predictions, resamples: Resamples, only: frozenset[str] | None = None
) -> _Measured:
    points = _points(measure(predictions, only=only))
    resampled = measure(predictions, resamples, only)
    return _Measured(points, {name: resampled[name] for name in points}, resamples.n_units)


def _points(measured: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in measured.items() if math.isfinite(values[0])}


def _gains(ours: _Measured, theirs: _Measured | None) -> dict[str, Gain]:
    if theirs is None:
        return {}
    found = {name: ours.gain(theirs, name) for name in ours.points}
    return {name: gain for name, gain in found.items() if gain is not None}


def _forgotten(candidate: Predictions, champion: Predictions | None) -> tuple[Scalar, ...]:
    if champion is None or champion.classes is None or candidate.classes is None:
        return ()
    return tuple(np.setdiff1d(champion.classes, candidate.classes).tolist())


def _slices(
    metric: str,
    candidate: Predictions,
    champion: Predictions | None,
    resamples: Resamples,
    slices: tuple[Slice, ...],
) -> tuple[SliceScores, ...]:
    resamples = resamples.first(_SLICE_RESAMPLES)
    only = frozenset({metric})
    found = []
    for part in slices:
        within = resamples.take(part.index)
        ours = _measured(candidate.take(part.index), within, only)
        theirs = None if champion is None else _measured(champion.take(part.index), within, only)
        found.append(
            SliceScores(
                column=part.column,
                value=part.value,
                n_rows=len(part.index),
                scores=Scores(metrics=ours.points, intervals=_around(ours)),
                gain=None if theirs is None else _simultaneous(metric, ours, theirs, len(slices)),
            )
        )
    return tuple(found)


def _around(measured: _Measured) -> dict[str, Interval]:
    found = {}
    for name, point in measured.points.items():
        if (half_width := _half_width(measured.resampled[name], measured.n_units, 1)) is not None:
            low, high = point - half_width, point + half_width
            found[name] = (low, high) if name in _UNBOUNDED else (max(low, 0.0), min(high, 1.0))
    return found


def _simultaneous(metric: str, ours: _Measured, theirs: _Measured, n_slices: int) -> Gain | None:
    """Return the gain with Bonferroni's correction, so that all slices' intervals hold together at 95 %."""
    if metric not in ours.points or metric not in theirs.points:
        return None
    sign = -1 if metric in LOSSES else 1
    value = sign * (ours.points[metric] - theirs.points[metric])
    half_width = _half_width(ours.resampled[metric] - theirs.resampled[metric], ours.n_units, n_slices)
    if half_width is None:
        return None
    return Gain(value=value, low=value - half_width, high=value + half_width)


def _half_width(values: Floats, n_units: int, n_intervals: int) -> float | None:
    """Return half the width of an interval, from the standard deviation of the resampled values."""
    finite = values[np.isfinite(values)]
    if n_units < 2 or len(finite) < len(values) / 2:
        return None
    tail = (1 - LEVEL) / 2 / n_intervals
    return float(stats.t.isf(tail, n_units - 1) * finite.std())
