"""Count which classes are predicted for which."""

from __future__ import annotations

import numpy as np

from modelane_training.evaluation.predictions import Predictions
from modelane_training.report.diagnostics import ClassScores, Confusion

#: Maximum size of the matrix; more classes would not be legible. The rarest ones share the last row.
MAX_CLASSES = 12
#: Maximum number of classes in the table.
MAX_LISTED = 50


def confusion(answers: Predictions) -> Confusion | None:
    """Return counts by actual and predicted class; None for a regression."""
    if answers.classes is None:
        return None
    k = len(answers.classes)
    labels = [str(label) for label in answers.classes.tolist()]
    row_of = np.arange(k)
    if k > MAX_CLASSES:
        counts = np.bincount(answers.truth, minlength=k)
        kept = np.sort(np.argsort(-counts, kind="stable")[: MAX_CLASSES - 1])
        row_of = np.full(k, MAX_CLASSES - 1)
        row_of[kept] = np.arange(MAX_CLASSES - 1)
        labels = [labels[number] for number in kept] + [f"{k - len(kept)} others"]
    n = len(labels)
    cells = row_of[answers.truth] * n + row_of[answers.predicted]
    matrix = np.bincount(cells, minlength=n * n).reshape(n, n)
    return Confusion(labels=tuple(labels), counts=tuple(map(tuple, matrix.tolist())))


def by_class(answers: Predictions) -> tuple[ClassScores, ...]:
    """Return the scores of each class, the most frequent one first."""
    if answers.classes is None:
        return ()
    k = len(answers.classes)
    actual = np.bincount(answers.truth, minlength=k)
    predicted = np.bincount(answers.predicted, minlength=k)
    correct = np.bincount(answers.truth[answers.truth == answers.predicted], minlength=k)
    order = np.argsort(-actual, kind="stable")[:MAX_LISTED]
    return tuple(
        ClassScores(
            label=str(answers.classes[number : number + 1].tolist()[0]),
            n_rows=int(actual[number]),
            n_predicted=int(predicted[number]),
            precision=float(correct[number] / predicted[number]) if predicted[number] else 0.0,
            recall=float(correct[number] / actual[number]) if actual[number] else 0.0,
        )
        for number in order
    )
