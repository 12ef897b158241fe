"""What an estimator says of rows whose truth is known.  fit → ANSWERS → metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import TrainingError
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import Scalar, Task

#: Of two classes the rarer one is looked for; with a share above this they count as equally frequent.
_RARE = 0.45


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Truth and answers, row by row; of a classification as places in ``classes``."""

    truth: NDArray[Any]  #: (n,); float64, or intp for a classification
    predicted: NDArray[Any]  #: (n,); as ``truth``
    classes: NDArray[Any] | None = None  #: (k,) labels, sorted; None for a regression
    probabilities: NDArray[np.float64] | None = None  #: (n, k) probabilities; None if the estimator has none
    scores: NDArray[np.float64] | None = None  #: (n, k); more is more of the class; what ranks rows
    positive: int | None = None  #: of two classes, the one that is looked for

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def positive_label(self) -> Scalar:
        """Of two classes the one that is looked for; None of more, and of a regression."""
        if self.classes is None or self.positive is None:
            return None
        label: Scalar = self.classes[self.positive : self.positive + 1].tolist()[0]
        return label

    def take(self, index: NDArray[np.intp]) -> Predictions:
        """The answers to these rows, in this order."""
        return replace(
            self,
            truth=self.truth[index],
            predicted=self.predicted[index],
            probabilities=None if self.probabilities is None else self.probabilities[index],
            scores=None if self.scores is None else self.scores[index],
        )


def positive_class(targets: NDArray[Any]) -> Scalar:
    """Of two classes the rarer one, the second if neither is rare; None of more."""
    classes, counts = np.unique(targets, return_counts=True)
    if len(classes) != 2:
        return None
    label: Scalar = classes.tolist()[int(counts[0] >= _RARE * len(targets))]
    return label


def predict(
    estimator: Estimator, rows: Any, targets: NDArray[Any], task: Task, *, positive: Scalar
) -> Predictions:
    """Have ``rows`` answered, with probabilities or scores where the estimator has them.

    Args:
        rows: (n, d), what the estimator takes: an array or a DataFrame.
        targets: (n,), the truth.
        positive: of two classes the one that is looked for, of all rows that there are: these ones may have
            other probabilities.  None of more classes, and of a regression.

    Raises:
        TrainingError: it does not answer these rows.
    """
    try:
        predicted = _column(estimator.predict(rows), len(targets))
        if task == "regression":
            return _regression(targets, predicted)
        return _classification(estimator, rows, targets, predicted, positive)
    except TrainingError:
        raise
    except Exception as exc:  # an estimator may raise anything
        raise TrainingError(f"the hold-out has no score: {type(exc).__name__}: {exc}") from exc


def _column(predicted: Any, n_rows: int) -> NDArray[Any]:
    column = np.asarray(predicted)
    if column.shape == (n_rows, 1):
        column = column[:, 0]
    if column.shape != (n_rows,):
        raise TrainingError(f"the hold-out has no score: {n_rows} rows got answers of shape {column.shape}")
    return column


def _regression(targets: NDArray[Any], predicted: NDArray[Any]) -> Predictions:
    predicted = predicted.astype(np.float64)
    if n_bad := int(np.count_nonzero(~np.isfinite(predicted))):
        raise TrainingError(f"the hold-out has no score: {n_bad} of {len(predicted)} answers are no numbers")
    return Predictions(truth=targets.astype(np.float64), predicted=predicted)


def _classification(
    estimator: Estimator, rows: Any, targets: NDArray[Any], predicted: NDArray[Any], positive: Scalar
) -> Predictions:
    known = np.asarray(getattr(estimator, "classes_", np.unique(predicted)))
    if len({labels.dtype.kind in "OU" for labels in (known, targets, predicted)}) == 2:
        raise TrainingError("the hold-out has no score: some answers are text, some are numbers")
    named = targets[:0] if positive is None else np.asarray([positive])
    classes = np.unique(np.concatenate([known, targets, predicted, named]))
    places = np.searchsorted(classes, known)
    probabilities = scores = None
    if hasattr(estimator, "predict_proba"):
        probabilities = np.zeros((len(targets), len(classes)))
        probabilities[:, places] = estimator.predict_proba(rows)
        if not np.isfinite(probabilities).all():
            raise TrainingError("the hold-out has no score: some probabilities are no numbers")
        scores = probabilities
    elif hasattr(estimator, "decision_function"):
        margins = np.asarray(estimator.decision_function(rows), dtype=np.float64)
        if margins.ndim == 1:
            margins = np.column_stack([-margins, margins])
        if margins.shape == (len(targets), len(known)):  # others compare pairs of classes, and rank none
            scores = np.full((len(targets), len(classes)), margins.min(initial=0.0) - 1)
            scores[:, places] = margins
    truth = np.searchsorted(classes, targets)
    return Predictions(
        truth=truth,
        predicted=np.searchsorted(classes, predicted),
        classes=classes,
        probabilities=probabilities,
        scores=scores,
        positive=None if positive is None else int(np.searchsorted(classes, positive)),
    )
