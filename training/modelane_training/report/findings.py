"""What is computed for the report, beyond the evaluation.  Every number of it goes on the card."""

from __future__ import annotations

import msgspec

from modelane_training.evaluation.results import Interval


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    labels: tuple[str, ...]  #: of the most frequent classes; all others are one
    counts: tuple[tuple[int, ...], ...]  #: truth by row, answer by column


class ClassScores(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    n_rows: int  #: of the hold-out
    n_predicted: int
    precision: float
    recall: float


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    promised: float  #: mean share that answers were given
    happened: float  #: share of them that were right
    n_rows: int


class LearningPoint(msgspec.Struct, frozen=True, kw_only=True):
    n_rows: int  #: trained on
    trained: float  #: score on these
    unseen: Interval | None  #: lowest and highest of the folds
    mean: float  #: score on rows not trained on, over the folds


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    column: str
    loss: float  #: of the metric, when the column's values are shuffled; mean of the shuffles
    low: float  #: of the shuffles
    high: float


class ColumnFacts(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    missing: float  #: share
    distinct: int
    typical: str  #: range and median, or the most frequent values
    drift: float | None = None  #: population stability index against the version in service


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    confusion: Confusion | None = None
    classes: tuple[ClassScores, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    learning: tuple[LearningPoint, ...] = ()
    importances: tuple[Importance, ...] = ()  #: the greatest first
    columns: tuple[ColumnFacts, ...] = ()
    left_out: tuple[str, ...] = ()  #: what is not here and why, a sentence each
