"""Whether more rows would help: the score by the number of rows trained on, inside the training part."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from modelane_training.evaluation.metrics import measure
from modelane_training.evaluation.predictions import ask
from modelane_training.report.findings import LearningPoint
from modelane_training.report.inputs import Material

N_SIZES = 5
MAX_FOLDS = 3
#: Of the largest size; and rows, fewer of which nothing can be learned from.
_SMALLEST, _MIN_ROWS = 0.1, 20
LIMIT_S = 6.0
#: Rows trained on that are scored, too: enough to see how far the two scores are apart.
_SCORED_ROWS = 2000

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def learning_curve(
    material: Material,
    folds: Folds,
    *,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[tuple[LearningPoint, ...], str]:
    """The curve from few rows to all of a fold, as far as the time goes; and what was left out, in words.

    Args:
        folds: rows of the training part to fit on, and to judge by.
    """
    until_s = clock() + limit_s
    folds = folds[:MAX_FOLDS]
    largest = min(len(train) for train, _ in folds)
    smallest = max(int(largest * _SMALLEST), min(_MIN_ROWS, largest))
    sizes = np.unique(np.geomspace(smallest, largest, N_SIZES).astype(int))
    points: list[LearningPoint] = []
    a_row_s = 0.0
    for size in sizes:
        scores: list[tuple[float, float] | None] = []
        for train, test in folds:
            began_s = clock()
            if began_s + a_row_s * size * (len(folds) - len(scores)) > until_s:
                beyond = f" beyond {points[-1].n_rows:,} rows" if points else ""
                return tuple(points), f"learning curve{beyond}: it would take longer than {limit_s:g} s"
            scores.append(_score(material, _some(train, size, material), test))
            a_row_s = (clock() - began_s) / size
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
    return tuple(points), "" if points else "learning curve: nothing could be learned from so few rows"


def _some(train: NDArray[np.intp], size: int, material: Material) -> NDArray[np.intp]:
    """By chance, or where rows have an order in time, the latest: these are what the next ones resemble."""
    if material.training.times is not None:
        return train[-size:]
    return np.random.default_rng(material.seed).permutation(train)[:size]


def _score(material: Material, train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[float, float] | None:
    """On rows trained on and on others; None if so few rows cannot be learned from."""
    learned, judged = material.training.take(train), material.training.take(test)
    estimator: Any = clone(material.estimator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(learned.matrix(), learned.targets)
            scores = [_measured(material, estimator, part) for part in (learned, judged)]
    except Exception:  # an estimator may raise anything: one class only, fewer rows than neighbours
        return None
    trained, unseen = scores
    return None if trained is None or unseen is None else (trained, unseen)


def _measured(material: Material, estimator: Any, part: Any) -> float | None:
    part = part.take(np.arange(min(len(part), _SCORED_ROWS)))
    said = ask(
        estimator, part.matrix(), part.targets, material.recipe.task, positive=material.recipe.positive
    )
    values = measure(said).get(material.recipe.metric)
    return None if values is None or not np.isfinite(values[0]) else float(values[0])
