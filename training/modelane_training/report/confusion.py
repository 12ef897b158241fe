"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np

from modelane_training.evaluation.predictions import Answers
from modelane_training.report.findings import ClassScores, Confusion

#: More are not legible in one matrix; the rarest of the others make one row.
MAX_CLASSES = 12
#: Classes that have a line of their own in the table.
MAX_LISTED = 50


def confusion(answers: Answers) -> Confusion | None:
    """Counts by truth and answer; None for a regression."""
    if answers.classes is None:
        return None
    k = len(answers.classes)
    labels = [str(label) for label in answers.classes.tolist()]
    place = np.arange(k)
    if k > MAX_CLASSES:
        counts = np.bincount(answers.truth, minlength=k)
        kept = np.sort(np.argsort(-counts, kind="stable")[: MAX_CLASSES - 1])
        place = np.full(k, MAX_CLASSES - 1)
        place[kept] = np.arange(MAX_CLASSES - 1)
        labels = [labels[number] for number in kept] + [f"{k - len(kept)} others"]
    n = len(labels)
    cells = place[answers.truth] * n + place[answers.predicted]
    matrix = np.bincount(cells, minlength=n * n).reshape(n, n)
    return Confusion(labels=tuple(labels), counts=tuple(map(tuple, matrix.tolist())))


def by_class(answers: Answers) -> tuple[ClassScores, ...]:
    """Of each class, the most frequent first."""
    if answers.classes is None:
        return ()
    k = len(answers.classes)
    there = np.bincount(answers.truth, minlength=k)
    said = np.bincount(answers.predicted, minlength=k)
    found = np.bincount(answers.truth[answers.truth == answers.predicted], minlength=k)
    order = np.argsort(-there, kind="stable")[:MAX_LISTED]
    return tuple(
        ClassScores(
            label=str(answers.classes[number : number + 1].tolist()[0]),
            n_rows=int(there[number]),
            n_predicted=int(said[number]),
            precision=float(found[number] / said[number]) if said[number] else 0.0,
            recall=float(found[number] / there[number]) if there[number] else 0.0,
        )
        for number in order
    )
