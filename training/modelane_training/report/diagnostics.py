"""What the report computes in addition to the evaluation. The card stores it as ``findings``."""

from __future__ import annotations

import msgspec

from modelane_training.evaluation.results import Interval


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """The confusion matrix."""

    labels: tuple[str, ...]  #: of the most frequent classes; the last one may stand for all others
    counts: tuple[tuple[int, ...], ...]  #: actual class by row, predicted class by column


class ClassScores(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one class."""

    label: str
    n_rows: int  #: of the hold-out with this class
    n_predicted: int
    precision: float
    recall: float


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """The rows with similar predicted probabilities."""

    promised: float  #: mean predicted probability
    happened: float  #: observed frequency
    n_rows: int


class LearningPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The scores after training on some of the rows."""

    n_rows: int  #: used for training
    trained: float  #: mean score on these rows
    unseen: Interval | None  #: lowest and highest score on other rows, over the folds
    mean: float  #: mean score on other rows, over the folds


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """The permutation importance of a column."""

    column: str
    loss: float  #: of the metric when the column's values are shuffled; mean of the shuffles
    low: float  #: smallest of the shuffles
    high: float  #: greatest of the shuffles


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a column, in short."""

    name: str
    kind: str  #: see :mod:`modelane_training.dataset.column_kinds`
    missing: float  #: share of the rows
    distinct: int
    typical: str  #: range and median, or the most frequent values
    drift: float | None = None  #: population stability index against the version in service


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of the report that are computed for it."""

    confusion: Confusion | None = None
    classes: tuple[ClassScores, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    learning: tuple[LearningPoint, ...] = ()
    importances: tuple[Importance, ...] = ()  #: the greatest first
    columns: tuple[ColumnSummary, ...] = ()
    left_out: tuple[str, ...] = ()  #: one sentence for each part that is missing, with the reason
