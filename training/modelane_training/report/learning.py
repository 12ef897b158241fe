"""The learning curve: whether more rows would help, from the score by the number of training rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from modelane_training.evaluation.metrics import measure
from modelane_training.evaluation.predictions import predict
from modelane_training.report.diagnostics import LearningPoint
from modelane_training.report.inputs import ReportInputs

N_SIZES = 5
MAX_FOLDS = 3
#: The smallest size: a share of the largest one, and a minimum number of rows.
_SMALLEST, _MIN_ROWS = 0.1, 20
LIMIT_S = 6.0
#: Maximum number of training rows that are scored, enough to show the gap between the two scores.
_SCORED_ROWS = 2000

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def learning_curve(
    inputs: ReportInputs,
    folds: Folds,
    *,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[tuple[LearningPoint, ...], str]:
    """Return the curve from few rows to all rows of a fold, and a sentence on what was left out.

    Args:
        inputs: the estimator is cloned and fitted on parts of their training rows.
        folds: row numbers of the training rows to fit on, and to score.
        limit_s: the curve ends before a size that would exceed this time, in seconds.
        clock: returns seconds.
    """
    until_s = clock() + limit_s
    folds = folds[:MAX_FOLDS]
    largest = min(len(train) for train, _ in folds)
    smallest = max(int(largest * _SMALLEST), min(_MIN_ROWS, largest))
    sizes = np.unique(np.geomspace(smallest, largest, N_SIZES).astype(int))
    points: list[LearningPoint] = []
    s_per_row = 0.0
    for size in sizes:
        scores: list[tuple[float, float] | None] = []
        for train, test in folds:
            started_s = clock()
            if started_s + s_per_row * size * (len(folds) - len(scores)) > until_s:
                beyond = f" beyond {points[-1].n_rows:,} rows" if points else ""
                return tuple(points), f"learning curve{beyond}: it would take longer than {limit_s:g} s"
            scores.append(_score(inputs, _sample(train, size, inputs), test))
            s_per_row = (clock() - started_s) / size
        known = [score for score in scores if score is not None]
        if known:
            trained, unseen = zip(*known, strict=True)
            points.append(
                LearningPoint(
                    n_rows=int(size),
                    trained=float(np.mean(trained)),
                    mean=float(np.mean(unseen)),
                    unseen=(min(unseen), max(unseen)),
                )
            )
    return tuple(
        points
    ), "" if points else "learning curve: the estimator cannot be fitted on parts of the rows"


def _sample(train: NDArray[np.intp], size: int, inputs: ReportInputs) -> NDArray[np.intp]:
    """Return random rows; with a time column the latest ones, which are most similar to future rows."""
    if inputs.training.times is not None:
        return train[-size:]
    return np.random.default_rng(inputs.seed).permutation(train)[:size]


def _score(
    inputs: ReportInputs, train: NDArray[np.intp], test: NDArray[np.intp]
) -> tuple[float, float] | None:
    """Return the scores on the training rows and on other rows; None if the fit fails."""
    fitted, scored = inputs.training.take(train), inputs.training.take(test)
    estimator: Any = clone(inputs.estimator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(fitted.matrix(), fitted.targets)
            scores = [_measured(inputs, estimator, part) for part in (fitted, scored)]
    except Exception:  # an estimator may raise anything, for example if the rows have only one class
        return None
    trained, unseen = scores
    return None if trained is None or unseen is None else (trained, unseen)


def _measured(inputs: ReportInputs, estimator: Any, part: Any) -> float | None:
    part = part.take(np.arange(min(len(part), _SCORED_ROWS)))
    answers = predict(
        estimator, part.matrix(), part.targets, inputs.recipe.task, positive=inputs.recipe.positive
    )
    values = measure(answers).get(inputs.recipe.metric)
    return None if values is None or not np.isfinite(values[0]) else float(values[0])
