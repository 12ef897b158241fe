"""What the metric loses when a column's values are shuffled (L. Breiman, "Random Forests", 2001)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modelane_training.evaluation.metrics import LOSSES, measure
from modelane_training.evaluation.predictions import ask
from modelane_training.report.findings import Importance
from modelane_training.report.inputs import Material

MAX_ROWS = 500
N_SHUFFLES = 3
LIMIT_S = 4.0
#: Columns that are kept, by their importance.
MAX_KEPT = 50


def importances(
    material: Material, *, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic
) -> tuple[tuple[Importance, ...], str]:
    """Importances, the greatest first; and what was left out, in words.

    Shuffled are rows of the hold-out, ``MAX_ROWS`` of them at most.
    """
    until_s = clock() + limit_s
    random = np.random.default_rng(material.seed)
    table = material.hold_out
    if len(table) > MAX_ROWS:
        table = table.take(random.choice(len(table), MAX_ROWS, replace=False))
    matrix = table.matrix()
    before = _score(material, matrix, table.targets)
    if before is None:
        return (), f"importances: these rows have no {material.recipe.metric}"
    losses: dict[str, list[float]] = {}
    for _ in range(N_SHUFFLES):
        for place, name in enumerate(table.names):
            if clock() > until_s:
                break
            after = _score(material, _shuffled(matrix, place, random), table.targets)
            if after is not None:
                losses.setdefault(name, []).append(before - after)
    found = [
        Importance(column=name, loss=float(np.mean(each)), low=min(each), high=max(each))
        for name, each in losses.items()
    ]
    found.sort(key=lambda importance: -importance.loss)
    n_missing = len(table.names) - len(losses)
    said = (
        f"importances of {n_missing} columns: they would take longer than {limit_s:g} s" if n_missing else ""
    )
    return tuple(found[:MAX_KEPT]), said


def _shuffled(matrix: Any, place: int, random: np.random.Generator) -> Any:
    shuffled = matrix.copy()
    order = random.permutation(len(matrix))
    if isinstance(matrix, np.ndarray):
        shuffled[:, place] = matrix[order, place]
    else:
        shuffled.isetitem(place, matrix.iloc[order, place].set_axis(matrix.index))
    return shuffled


def _score(material: Material, rows: Any, targets: Any) -> float | None:
    """More is better."""
    metric = material.recipe.metric
    values = measure(
        ask(material.estimator, rows, targets, material.recipe.task, positive=material.recipe.positive)
    ).get(metric)
    if values is None or not np.isfinite(values[0]):
        return None
    return float(values[0]) * (-1 if metric in LOSSES else 1)
