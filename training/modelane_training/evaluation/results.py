"""What was measured on the hold-out, in the form in which it is stored on a model's card.

Made by :mod:`~modelane_training.evaluation.evaluate`; the gate decides by it, and the report shows it. Every
number that the report shows about the hold-out is here. A new field needs a default.
"""

from __future__ import annotations

import msgspec

from modelane_worker.registry.card import Scalar

#: The lower and the upper end of a confidence interval.
Interval = tuple[float, float]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one estimator on some rows."""

    metrics: dict[str, float]
    intervals: dict[str, Interval] = {}  #: 95 %, of each metric that has one


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much better the candidate is on the same rows, in the metric's unit; negative if it is worse."""

    value: float
    low: float  #: lower end of the 95 % confidence interval
    high: float  #: its upper end


class SliceScores(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics on a slice: the rows of the hold-out that have a value in common."""

    column: str
    value: str  #: the value or range that the rows have in common, for people
    n_rows: int
    scores: Scores
    #: Over the champion, by the gate's metric. The intervals of all slices hold together at 95 %.
    gain: Gain | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured on the hold-out."""

    metric: str  #: what the gate compares
    n_rows: int  #: of the hold-out
    n_units: int  #: what the bootstrap draws: rows, sets of rows, groups, or runs of rows in time
    scores: Scores  #: of the candidate
    positive: Scalar = None  #: the positive one of two classes
    baseline: Scores | None = None  #: of a constant prediction
    over_baseline: Gain | None = None  #: over the baseline, by the gate's metric
    champion: Scores | None = None  #: None if there is no champion, or it cannot be compared
    forgotten: tuple[Scalar, ...] = ()  #: classes that the champion knows and the candidate does not
    gains: dict[str, Gain] = {}  #: over the champion, by each metric that both have
    slices: tuple[SliceScores, ...] = ()  #: with enough rows to be evaluated
    unjudged: str = ""  #: which slices were not evaluated, and why; empty if all were
