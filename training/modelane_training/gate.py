"""Decide whether a candidate replaces the champion.  evaluate → GATE → publish.

Pure: scores in, verdict out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelane.errors import RecipeError
from modelane_training.evaluate import LOSSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a recipe demands of a candidate, in units of its metric.

    Raises:
        RecipeError: it contradicts itself.
    """

    worst: float | None = None  #: worse than this is never promoted, champion or not
    promote_equal: bool = False  #: whether fresher is enough reason to replace an equal champion
    max_regression: float = 0.0  #: what still counts as equal: so much worse; with promote_equal only

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_regression) and self.max_regression >= 0):
            raise RecipeError(f"max_regression {self.max_regression}: expected 0 or more")
        if self.max_regression and not self.promote_equal:
            raise RecipeError("max_regression says what counts as equal: it needs promote_equal=True")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    promote: bool
    reason: str  #: a sentence for people, with the numbers that decided


def decide(
    gate: Gate,
    metric: str,
    candidate: float,
    champion: float | None,
    *,
    no_champion: str = "there is no champion to compare with",
) -> Verdict:
    """Judge a candidate.

    Args:
        metric: for one of ``LOSSES``, less is better.
        candidate: its score on the hold-out.
        champion: the champion's score on the same hold-out; None if it has none.
        no_champion: why it has none, for the verdict.
    """
    sign = -1 if metric in LOSSES else 1
    score = f"{metric} {candidate:.4f}"
    if not math.isfinite(candidate):
        return Verdict(promote=False, reason=f"{score} is not a score")
    if gate.worst is not None and sign * (candidate - gate.worst) < 0:
        return Verdict(promote=False, reason=f"{score} misses the limit of {gate.worst:g}")
    if champion is None:
        return Verdict(promote=True, reason=f"{score}; {no_champion}")
    gain = sign * (candidate - champion)
    against = f"{score}, the champion has {champion:.4f}"
    if gain > 0:
        return Verdict(promote=True, reason=f"{against}: better")
    if gate.promote_equal and gain >= -gate.max_regression:
        return Verdict(promote=True, reason=f"{against}: as good, and fresher")
    return Verdict(promote=False, reason=f"{against}: {'worse' if gain < 0 else 'not better'}")
