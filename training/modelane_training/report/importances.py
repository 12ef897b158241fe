"""Permutation importance: what the metric loses when a column's values are shuffled.

Source: L. Breiman, "Random Forests", Machine Learning 45, 2001.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modelane_training.evaluation.metrics import LOSSES, measure
from modelane_training.evaluation.predictions import predict
from modelane_training.report.diagnostics import Importance
from modelane_training.report.inputs import ReportInputs

MAX_ROWS = 500
N_SHUFFLES = 3
LIMIT_S = 4.0
#: Maximum number of columns in the result, the most important ones.
MAX_KEPT = 50


def importances(
    inputs: ReportInputs, *, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic
) -> tuple[tuple[Importance, ...], str]:
    """Return importances, the greatest first, and a sentence on what was left out.

    Args:
        inputs: at most ``MAX_ROWS`` rows of their hold-out are used.
        limit_s: columns that are not shuffled within this time are left out, in seconds.
        clock: returns seconds.
    """
    until_s = clock() + limit_s
    random = np.random.default_rng(inputs.seed)
    table = inputs.hold_out
    if len(table) > MAX_ROWS:
        table = table.take(random.choice(len(table), MAX_ROWS, replace=False))
    matrix = table.matrix()
    before = _score(inputs, matrix, table.targets)
    if before is None:
        return (), f"feature importance: {inputs.recipe.metric} cannot be computed on these rows"
    losses: dict[str, list[float]] = {}
    for _ in range(N_SHUFFLES):
        for number, name in enumerate(table.names):
            if clock() > until_s:
                break
            after = _score(inputs, _shuffled(matrix, number, random), table.targets)
            if after is not None:
                losses.setdefault(name, []).append(before - after)
    found = [
        Importance(column=name, loss=float(np.mean(each)), low=min(each), high=max(each))
        for name, each in losses.items()
    ]
    found.sort(key=lambda importance: -importance.loss)
    n_missing = len(table.names) - len(losses)
    left_out = (
        f"feature importance of {n_missing} columns: it would take longer than {limit_s:g} s"
        if n_missing
        else ""
    )
    return tuple(found[:MAX_KEPT]), left_out


def _shuffled(matrix: Any, column: int, random: np.random.Generator) -> Any:
    shuffled = matrix.copy()
    order = random.permutation(len(matrix))
    if isinstance(matrix, np.ndarray):
        shuffled[:, column] = matrix[order, column]
    else:
        shuffled.isetitem(column, matrix.iloc[order, column].set_axis(matrix.index))
    return shuffled


def _score(inputs: ReportInputs, rows: Any, targets: Any) -> float | None:
    """Return the score, as a number of which more is better; None if it cannot be computed."""
    metric = inputs.recipe.metric
    values = measure(
        predict(inputs.estimator, rows, targets, inputs.recipe.task, positive=inputs.recipe.positive)
    ).get(metric)
    if values is None or not np.isfinite(values[0]):
        return None
    return float(values[0]) * (-1 if metric in LOSSES else 1)
