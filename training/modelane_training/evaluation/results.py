"""What was found on the hold-out, in a form that goes on the card.  evaluate → EVALUATION → gate, report.

Every number that a report shows of the hold-out is here.  Fields may be added, with a default.
"""

from __future__ import annotations

import msgspec

from modelane_worker.registry.card import Scalar

#: Low and high end.
Interval = tuple[float, float]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Of one estimator on some rows."""

    metrics: dict[str, float]
    intervals: dict[str, Interval] = {}  #: of each metric for which there is one, 95 %


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much better the candidate is on the same rows, in the metric's unit; less than 0 is worse."""

    value: float
    low: float
    high: float


class SliceScores(msgspec.Struct, frozen=True, kw_only=True):
    """On the rows of the hold-out that have something in common."""

    column: str
    value: str  #: what they have in common, in words
    n_rows: int
    scores: Scores
    #: Over the champion, by the gate's metric.  All slices' intervals hold at once, at 95 %.
    gain: Gain | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    metric: str  #: that the gate compares
    n_rows: int  #: of the hold-out
    n_units: int  #: that were drawn with replacement: rows, piles of rows, groups or runs in time
    scores: Scores
    positive: Scalar = None  #: of two classes, the one that precision, recall, F1 are of
    baseline: Scores | None = None  #: of an estimator that knows the target's distribution only
    over_baseline: Gain | None = None  #: by the gate's metric
    champion: Scores | None = None  #: None if there is none that can be compared
    forgotten: tuple[Scalar, ...] = ()  #: classes that the champion knows, and the candidate does not
    gains: dict[str, Gain] = {}  #: over the champion, by each metric that both have
    slices: tuple[SliceScores, ...] = ()  #: with enough rows to say something
    unjudged: str = ""  #: what is not among the slices, and why
