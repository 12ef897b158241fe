"""What an estimator predicts for rows whose targets are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import TrainingError
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import Scalar, Task

_NO_SCORE = "the hold-out cannot be evaluated"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """True targets and predictions, row by row; of a classification, as indices into ``classes``."""

    truth: NDArray[Any]  #: (n,); float64, or intp for a classification
    predicted: NDArray[Any]  #: (n,); as ``truth``
    classes: NDArray[Any] | None = None  #: (k,); sorted labels; None for a regression
    probabilities: NDArray[np.float64] | None = None  #: (n, k); None if the estimator has none
    #: (n, k); what ranks rows: a larger score means that the class is more likely. None if there is none.
    scores: NDArray[np.float64] | None = None
    positive: int | None = (
        None  #: index of the positive class; None for more than two classes, and for a regression
    )

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def positive_label(self) -> Scalar:
        """Return the label of the positive class; None for more than two classes, and for a regression."""
        if self.classes is None or self.positive is None:
            return None
        label: Scalar = self.classes[self.positive : self.positive + 1].tolist()[0]
        return label

    def take(self, index: NDArray[np.intp]) -> Predictions:
        """Return the predictions for the rows with these indices, in this order."""
        return replace(
            self,
            truth=self.truth[index],
            predicted=self.predicted[index],
            probabilities=None if self.probabilities is None else self.probabilities[index],
            scores=None if self.scores is None else self.scores[index],
        )


def predict(
    estimator: Estimator, rows: Any, targets: NDArray[Any], task: Task, *, positive: Scalar
) -> Predictions:
    """Predict rows, with probabilities or scores if the estimator has them.

    Args:
        estimator: a fitted estimator.
        rows: (n, d); an array or a DataFrame, as the estimator takes.
        targets: (n,); the true targets.
        task: what is predicted.
        positive: the positive one of two classes, decided from all rows: in these rows the other class may be
            rarer. None for more than two classes, and for a regression.

    Raises:
        TrainingError: the estimator fails, or predicts something that cannot be evaluated.
    """
    try:
        predicted = _column(estimator.predict(rows), len(targets))
        if task == "regression":
            return _regression(targets, predicted)
        return _classification(estimator, rows, targets, predicted, positive)
    except TrainingError:
        raise
    except Exception as exc:  # an estimator may raise anything
        raise TrainingError(f"{_NO_SCORE}: predict failed with {type(exc).__name__}: {exc}") from exc


def _column(predicted: Any, n_rows: int) -> NDArray[Any]:
    column = np.asarray(predicted)
    if column.shape == (n_rows, 1):
        column = column[:, 0]
    if column.shape != (n_rows,):
        raise TrainingError(
            f"{_NO_SCORE}: predict returned shape {column.shape} for {n_rows} rows: expected ({n_rows},)"
        )
    return column


def _regression(targets: NDArray[Any], predicted: NDArray[Any]) -> Predictions:
    predicted = predicted.astype(np.float64)
    if n_bad := int(np.count_nonzero(~np.isfinite(predicted))):
        raise TrainingError(f"{_NO_SCORE}: {n_bad} of {len(predicted)} predictions are not finite numbers")
    return Predictions(truth=targets.astype(np.float64), predicted=predicted)


def _classification(
    estimator: Estimator, rows: Any, targets: NDArray[Any], predicted: NDArray[Any], positive: Scalar
) -> Predictions:
    known = np.asarray(getattr(estimator, "classes_", np.unique(predicted)))
    if len({labels.dtype.kind in "OU" for labels in (known, targets, predicted)}) == 2:
        raise TrainingError(
            f"{_NO_SCORE}: some class labels are strings and some are numbers: expected one type"
        )
    positives = targets[:0] if positive is None else np.asarray([positive])
    classes = np.unique(np.concatenate([known, targets, predicted, positives]))
    columns = np.searchsorted(classes, known)
    probabilities = scores = None
    if hasattr(estimator, "predict_proba"):
        probabilities = np.zeros((len(targets), len(classes)))
        probabilities[:, columns] = estimator.predict_proba(rows)
        if not np.isfinite(probabilities).all():
            raise TrainingError(f"{_NO_SCORE}: some probabilities are not finite numbers")
        scores = probabilities
    elif hasattr(estimator, "decision_function"):
        margins = np.asarray(estimator.decision_function(rows), dtype=np.float64)
        if margins.ndim == 1:
            margins = np.column_stack([-margins, margins])
        if margins.shape == (len(targets), len(known)):  # others compare pairs of classes, and rank no rows
            scores = np.full((len(targets), len(classes)), margins.min(initial=0.0) - 1)
            scores[:, columns] = margins
    truth = np.searchsorted(classes, targets)
    return Predictions(
        truth=truth,
        predicted=np.searchsorted(classes, predicted),
        classes=classes,
        probabilities=probabilities,
        scores=scores,
        positive=None if positive is None else int(np.searchsorted(classes, positive)),
    )
