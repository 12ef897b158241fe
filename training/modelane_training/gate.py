"""Decide whether a candidate replaces the champion.  evaluate → GATE → publish.

Pure: an evaluation in, a verdict out.  A candidate is better if the whole 95 % interval of its gain, on
resamples of the hold-out that candidate and champion share, lies above nothing: of equal ones, fewer
than one in twenty is.  `python -m benchmarks gate` measures how many, and how soon a better one is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelane.errors import RecipeError
from modelane_training.evaluation.metrics import LOSSES
from modelane_training.evaluation.results import Evaluation, Gain, SliceScores

#: Of the champion's score: what any slice may lose, where the gate does not say.
_SLICE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a recipe demands of a candidate, in units of its metric.

    Raises:
        RecipeError: it contradicts itself.
    """

    worst: float | None = None  #: worse than this is never promoted, champion or not
    min_gain: float = 0.0  #: what a better one must be better by, to be worth a change
    promote_equal: bool = False  #: whether fresher is enough reason to replace an equal champion
    max_regression: float = 0.0  #: what still counts as equal: so much worse; with promote_equal only
    #: What a slice may lose, beyond doubt, however good the whole is; None: a twentieth of the champion's
    #: score on the whole.  ``math.inf`` lets slices fall.
    max_slice_regression: float | None = None
    slices: tuple[str, ...] = ()  #: columns to slice by; by default the first few that can be
    beat_baseline: bool = True  #: whether it must beat an estimator that never looks at a row

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_regression) and self.max_regression >= 0):
            raise RecipeError(f"max_regression {self.max_regression}: expected 0 or more")
        if self.max_regression and not self.promote_equal:
            raise RecipeError("max_regression says what counts as equal: it needs promote_equal=True")
        if not (math.isfinite(self.min_gain) and self.min_gain >= 0):
            raise RecipeError(f"min_gain {self.min_gain}: expected 0 or more")
        if self.max_slice_regression is not None and not self.max_slice_regression >= 0:
            raise RecipeError(f"max_slice_regression {self.max_slice_regression}: expected 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    promote: bool
    reason: str  #: a sentence for people, with the numbers that decided


def decide(
    gate: Gate,
    found: Evaluation,
    *,
    obstacle: str = "there is no champion to compare with",
    serves: bool = False,
    remedy: str = "modelane promote",
) -> Verdict:
    """Judge a candidate by the metric of ``found``.

    Args:
        obstacle: why there is no champion to compare with, for the verdict.
        serves: whether there is one that answers its callers all the same: it is kept.
        remedy: the command that replaces it nevertheless.
    """
    metric = found.metric
    score = f"{metric} {found.scores.metrics[metric]:.4f}"
    if (flaw := _unfit(gate, found)) is not None:
        return Verdict(promote=False, reason=f"{score} {flaw}")
    if found.champion is None:
        kept = f", and is kept uncompared: {remedy} replaces it" if serves else ""
        return Verdict(promote=not serves, reason=f"{score}; {obstacle}{kept}")
    if metric not in found.champion.metrics:
        why = f"the champion has no {metric} to compare with, and is kept: {remedy} replaces it"
        return Verdict(promote=False, reason=f"{score}; {why}")
    champion = f"the champion has {found.champion.metrics[metric]:.4f}"
    gain = found.gains.get(metric)
    if gain is None:  # as of a hold-out that is one group: nothing says how far chance reaches
        why = ": the hold-out is too small to tell them apart, hold out more rows or groups"
        return Verdict(promote=False, reason=f"{score}, {champion}{why}")
    promote, why = _against(gate, found, gain)
    return Verdict(promote=promote, reason=f"{score}, {champion}{why}{_forgotten(found)}")


def _against(gate: Gate, found: Evaluation, gain: Gain) -> tuple[bool, str]:
    if (fallen := _fallen(gate, found)) is not None:
        return False, f", but {fallen}"
    if gain.low > 0 and gain.value >= gate.min_gain:
        return True, f": better by {_words(gain)}"
    if gate.promote_equal:
        if gain.low >= -gate.max_regression:
            return True, f": as good, and fresher, worse by {gate.max_regression:g} at most"
        if gain.high >= -gate.max_regression:
            return False, f": not shown to be as good, {_not_better(gate, gain)}"
    return False, f": {_not_better(gate, gain)}"


def _forgotten(found: Evaluation) -> str:
    """What a comparison on the rows that there are does not show."""
    if not found.forgotten:
        return ""
    names = ", ".join(f"{label!r:.60}" for label in found.forgotten)
    return f"; no row is of the class {names} any more, which only the champion knows"


def _unfit(gate: Gate, found: Evaluation) -> str | None:
    """What makes a candidate unfit for service, champion or not."""
    metric = found.metric
    sign = -1 if metric in LOSSES else 1
    if gate.worst is not None and sign * (found.scores.metrics[metric] - gate.worst) < 0:
        return f"misses the limit of {gate.worst:g}"
    if not gate.beat_baseline or found.baseline is None or metric not in found.baseline.metrics:
        return None
    constant = f"an answer that never looks at a row has {found.baseline.metrics[metric]:.4f}"
    if found.over_baseline is None:
        return None
    if found.over_baseline.low <= 0:
        return f"is not shown to beat guessing, {constant}: better by {_words(found.over_baseline)}"
    return None


def _fallen(gate: Gate, found: Evaluation) -> str | None:
    """Which slice lost too much beyond doubt; the worst of them."""
    allowed = gate.max_slice_regression
    if allowed is None:
        assert found.champion is not None
        allowed = _SLICE_SHARE * abs(found.champion.metrics[found.metric])
    losses = [(part.gain, part) for part in found.slices if part.gain and part.gain.high < -allowed]
    if not losses:
        return None
    gain, part = min(losses, key=lambda loss: loss[0].value)
    return f"{_where(part)} it is worse by {_words(_loss(gain))}, more than {allowed:.2g}"


def _where(part: SliceScores) -> str:
    return f"on {part.n_rows} rows with {part.column!r:.60} {part.value}"


def _loss(gain: Gain) -> Gain:
    return Gain(value=-gain.value, low=-gain.high, high=-gain.low)


def _not_better(gate: Gate, gain: Gain) -> str:
    if gain.value < 0:
        return f"worse by {_words(_loss(gain))}"
    if gain.value == 0:
        return "not better"
    if gain.low > 0:
        return f"better by {_words(gain)}, less than the {gate.min_gain:g} that are asked for"
    return f"not better beyond chance, by {_words(gain)}"


def _words(gain: Gain) -> str:
    return f"{gain.value:.4f} (95 %: {gain.low:.4f} to {gain.high:.4f})"
