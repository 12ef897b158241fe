"""Measure a candidate on the hold-out, beside what it must beat.  fit → EVALUATE → gate.

Candidate, champion and baseline answer the same rows once; all intervals come from the same resamples
of them, so that the comparison is a paired one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from modelane.errors import RecipeError
from modelane_training.evaluation.bootstrap import LEVEL, Floats, Resamples, interval
from modelane_training.evaluation.metrics import LOSSES, METRICS, measure
from modelane_training.evaluation.predictions import Predictions
from modelane_training.evaluation.results import Evaluation, Gain, Interval, Scores, SliceScores
from modelane_training.evaluation.slices import NO_SLICES, Slice, Slices
from modelane_worker.registry.card import Scalar

__all__ = ["LOSSES", "METRICS", "assess"]

#: Resamples behind a slice's interval; its width comes from their spread, which needs fewer than its ends.
_SLICE_RESAMPLES = 200

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
    """All that the gate and the report need to know.

    Args:
        metric: what the gate compares.
        candidate: its answers to the hold-out; the others' are to the same rows.
        resamples: resamples of these rows.

    Raises:
        RecipeError: the candidate has no such metric.
    """
    ours = _measured(candidate, resamples)
    if metric not in ours.points:
        raise RecipeError(
            f"{metric} cannot be computed for this estimator on these rows; it has {', '.join(ours.points)}"
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
    points: dict[str, float]
    resampled: Mapping[str, Floats]
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
        # A resample is as far from its hold-out as the hold-out is from the truth: gaps add up, so that
        # the calibration error of resamples is too large by as much.
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


def _measured(answers: Predictions, resamples: Resamples, only: frozenset[str] | None = None) -> _Measured:
    points = _points(measure(answers, only=only))
    resampled = measure(answers, resamples, only)
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
        there = resamples.take(part.index)
        ours = _measured(candidate.take(part.index), there, only)
        theirs = None if champion is None else _measured(champion.take(part.index), there, only)
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
        if (reach := _reach(measured.resampled[name], measured.n_units, 1)) is not None:
            low, high = point - reach, point + reach
            found[name] = (low, high) if name in _UNBOUNDED else (max(low, 0.0), min(high, 1.0))
    return found


def _simultaneous(metric: str, ours: _Measured, theirs: _Measured, n_slices: int) -> Gain | None:
    """With C. Bonferroni's correction: that any of the slices' intervals misses is a matter of 5 %."""
    if metric not in ours.points or metric not in theirs.points:
        return None
    sign = -1 if metric in LOSSES else 1
    value = sign * (ours.points[metric] - theirs.points[metric])
    reach = _reach(ours.resampled[metric] - theirs.resampled[metric], ours.n_units, n_slices)
    return None if reach is None else Gain(value=value, low=value - reach, high=value + reach)


def _reach(values: Floats, n_units: int, n_intervals: int) -> float | None:
    """Half the width of an interval by the spread of its resamples."""
    finite = values[np.isfinite(values)]
    if n_units < 2 or len(finite) < len(values) / 2:
        return None
    tail = (1 - LEVEL) / 2 / n_intervals
    return float(stats.t.isf(tail, n_units - 1) * finite.std())
