"""Predict time of a forest in this process: by scikit-learn alone, and sped up as a worker does.

See :mod:`modelane_worker.inference.fast_forest`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks import models
from benchmarks.figure import Effort, Figure, Line
from modelane_worker.inference.fast_forest import restore, speed_up

BATCHES = (1, 256, 4096)


def measure(effort: Effort) -> Figure:
    figure, forest = Figure(), models.forest()
    effort.say("a forest in this process")
    for n in BATCHES:
        rows = np.ascontiguousarray(np.resize(models.rows(), (n, models.rows().shape[1])))
        pairs = []
        for _ in range(effort.rounds * 3):
            plain_ms = _timed_ms(lambda rows=rows: forest.predict_proba(rows))
            forests = speed_up(forest)
            pairs.append((_timed_ms(lambda rows=rows: forest.predict_proba(rows)), plain_ms))
            restore(forests)
        ratio = statistics.median(plain / fast for fast, plain in pairs)
        figure.data[f"{n} rows"] = {"ratio": ratio, "pairs_ms": pairs}
        figure.lines.append(
            Line(
                what=f"predict of a forest of 100 trees in this process, {n} rows",
                ours=f"{statistics.median(fast for fast, _ in pairs):.2f} ms",
                against=f"{statistics.median(plain for _, plain in pairs):.2f} ms by scikit-learn alone",
                result=f"{ratio:.1f} times as fast",
                target="",
                met=None,
            )
        )
    return figure


def _timed_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1e3
