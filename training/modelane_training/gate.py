"""The gate: decide whether a candidate replaces the champion.

It is a pure function of what was measured on the hold-out. A candidate is better if the whole 95 % confidence
interval of its gain, on resamples of the hold-out that candidate and champion share, is above 0. So fewer
than one in twenty candidates that are equal to the champion is called better; `python -m benchmarks gate`
measures how many, and how soon a better one is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelane.errors import RecipeError
from modelane_training.evaluation.metrics import LOSSES
from modelane_training.evaluation.results import Evaluation, Gain, SliceScores

#: The share of the champion's score that a slice may lose if the gate does not say.
_SLICE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a candidate must achieve on the hold-out to replace the champion.

    All limits are in units of the recipe's metric, such as 0.01 for one percentage point of accuracy. Gains
    and losses are differences to the champion; a gain is positive if the candidate is better, for a loss such
    as RMSE too.

    Attributes:
        worst: a candidate with a worse score is never promoted, even if there is no champion; default: no
            limit.
        min_gain: how much better than the champion a candidate must be, at least; default: 0. It must also be
            better beyond chance.
        promote_equal: whether a candidate replaces an equal champion, because it was trained on newer data;
            default: False.
        max_regression: how much worse than the champion a candidate may be to count as equal; default: 0. It
            requires ``promote_equal=True``.
        max_slice_regression: how much worse than the champion a candidate may be on any slice of the
            hold-out, beyond chance; default: 5 % of the champion's score. ``math.inf`` ignores slices.
        slices: the columns by whose values the hold-out is sliced; default: up to 20 of all columns.
        beat_baseline: whether a candidate must be better, beyond chance, than a constant prediction; default:
            True.

    Raises:
        RecipeError: a limit is negative or not a number, or two options contradict each other.

    Example:
        >>> import math
        >>> strict = Gate(worst=0.8, min_gain=0.01)
        >>> fresher = Gate(promote_equal=True, max_regression=0.005, max_slice_regression=math.inf)
    """

    worst: float | None = None
    min_gain: float = 0.0
    promote_equal: bool = False
    max_regression: float = 0.0
    max_slice_regression: float | None = None
    slices: tuple[str, ...] = ()
    beat_baseline: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_regression) and self.max_regression >= 0):
            raise RecipeError(f"gate: max_regression={self.max_regression}: expected 0 or more")
        if self.max_regression and not self.promote_equal:
            raise RecipeError(
                f"gate: max_regression={self.max_regression} has an effect only with promote_equal=True: "
                "add it, or remove max_regression"
            )
        if not (math.isfinite(self.min_gain) and self.min_gain >= 0):
            raise RecipeError(f"gate: min_gain={self.min_gain}: expected 0 or more")
        if self.max_slice_regression is not None and not self.max_slice_regression >= 0:
            raise RecipeError(
                f"gate: max_slice_regression={self.max_slice_regression}: expected 0 or more, or math.inf"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate decided.

    Attributes:
        promote: whether the candidate replaces the champion.
        reason: why, for people, with the numbers that decided.

    Example:
        >>> Verdict(promote=True, reason="accuracy 0.9100, the champion has 0.9000: better by 0.0100").promote
        True
    """

    promote: bool
    reason: str


def decide(
    gate: Gate,
    found: Evaluation,
    *,
    obstacle: str = "there is no champion to compare with",
    serves: bool = False,
    remedy: str = "modelane promote",
) -> Verdict:
    """Decide whether a candidate replaces the champion.

    Args:
        gate: what the recipe requires.
        found: what was measured on the hold-out.
        obstacle: why there is no champion to compare with, for the verdict.
        serves: whether there is a champion that could not be compared, but answers requests; it stays.
        remedy: the command that replaces such a champion, for the verdict.

    Example:
        >>> from modelane_training.evaluation.results import Evaluation, Scores
        >>> found = Evaluation(metric="r2", n_rows=100, n_units=100, scores=Scores(metrics={"r2": 0.7}))
        >>> decide(Gate(worst=0.8), found).reason
        'r2 0.7000 is worse than the limit of 0.8'
    """
    metric = found.metric
    score = f"{metric} {found.scores.metrics[metric]:.4f}"
    if (flaw := _unfit(gate, found)) is not None:
        return Verdict(promote=False, reason=f"{score} {flaw}")
    stays = f"stays in service: to replace it, run {remedy}"
    if found.champion is None:
        kept = f"; it {stays}" if serves else ""
        return Verdict(promote=not serves, reason=f"{score}; {obstacle}{kept}")
    if metric not in found.champion.metrics:
        return Verdict(
            promote=False, reason=f"{score}; the champion has no {metric} to compare with and {stays}"
        )
    champion = f"the champion has {found.champion.metrics[metric]:.4f}"
    gain = found.gains.get(metric)
    if gain is None:  # with a hold-out of one group, say, there is no confidence interval
        why = ": the hold-out is too small to tell them apart; hold out more rows or groups"
        return Verdict(promote=False, reason=f"{score}, {champion}{why}")
    promote, why = _against_champion(gate, found, gain)
    return Verdict(promote=promote, reason=f"{score}, {champion}{why}{_forgotten(found)}")


def _against_champion(gate: Gate, found: Evaluation, gain: Gain) -> tuple[bool, str]:
    if (loss := _worst_slice(gate, found)) is not None:
        return False, f", but {loss}"
    if gain.low > 0 and gain.value >= gate.min_gain:
        return True, f": better by {_text(gain)}"
    if gate.promote_equal:
        if gain.low >= -gate.max_regression:
            return True, f": equal and trained on newer data, worse by at most {gate.max_regression:g}"
        if gain.high >= -gate.max_regression:
            return False, f": not shown to be equal, {_not_better(gate, gain)}"
    return False, f": {_not_better(gate, gain)}"


def _forgotten(found: Evaluation) -> str:
    """Name classes that only the champion knows: the hold-out has no rows of them to compare on."""
    if not found.forgotten:
        return ""
    names = ", ".join(f"{label!r:.60}" for label in found.forgotten)
    return f"; the data no longer has rows of class {names}, which only the champion knows"


def _unfit(gate: Gate, found: Evaluation) -> str | None:
    """Return why a candidate is not fit for service, whether there is a champion or not."""
    metric = found.metric
    sign = -1 if metric in LOSSES else 1
    if gate.worst is not None and sign * (found.scores.metrics[metric] - gate.worst) < 0:
        return f"is worse than the limit of {gate.worst:g}"
    if not gate.beat_baseline or found.baseline is None or metric not in found.baseline.metrics:
        return None
    if found.over_baseline is None:
        return None
    if found.over_baseline.low <= 0:
        return (
            "does not beat a constant prediction beyond chance: that has "
            f"{found.baseline.metrics[metric]:.4f}, the gain is {_text(found.over_baseline)}"
        )
    return None


def _worst_slice(gate: Gate, found: Evaluation) -> str | None:
    """Describe the slice that lost most, of those that lost more than allowed beyond chance."""
    allowed = gate.max_slice_regression
    if allowed is None:
        assert found.champion is not None
        allowed = _SLICE_SHARE * abs(found.champion.metrics[found.metric])
    losses = [(part.gain, part) for part in found.slices if part.gain and part.gain.high < -allowed]
    if not losses:
        return None
    gain, part = min(losses, key=lambda loss: loss[0].value)
    return f"{_where(part)} it is worse by {_text(_loss(gain))}: the gate allows {allowed:.2g}"


def _where(part: SliceScores) -> str:
    return f"on the {part.n_rows} rows with {part.column!r:.60} {part.value}"


def _loss(gain: Gain) -> Gain:
    return Gain(value=-gain.value, low=-gain.high, high=-gain.low)


def _not_better(gate: Gate, gain: Gain) -> str:
    if gain.value < 0:
        return f"worse by {_text(_loss(gain))}"
    if gain.value == 0:
        return "not better"
    if gain.low > 0:
        return f"better by {_text(gain)}, but the gate requires a gain of {gate.min_gain:g}"
    return f"not better beyond chance, by {_text(gain)}"


def _text(gain: Gain) -> str:
    return f"{gain.value:.4f} (95 %: {gain.low:.4f} to {gain.high:.4f})"
