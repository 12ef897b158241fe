"""Rows per second in large requests, compared with the same predicts in this process.

Measured with and without Redis' append-only file, to which each megabyte is written twice: when the request
is put, and when it is leased.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S
from benchmarks.stage import Stage
from modelane import Client, Prediction

ROWS = 4096
#: Requests in flight: enough that the next one is always waiting.
IN_FLIGHT = 6
TARGET = 0.7


def measure(effort: Effort) -> Figure:
    figure, forest = Figure(), models.forest()
    block = np.ascontiguousarray(np.resize(models.rows(), (ROWS, models.rows().shape[1])))
    for kept, persistent in (("in memory", False), ("with an append-only file", True)):
        with (
            Stage(persistent=persistent, forest=forest) as stage,
            ours.worker(stage),
            ours.client(stage, "forest") as client,
        ):
            pairs = []
            for number in range(effort.rounds):
                effort.say(f"bulk ({kept}) and in process, pair {number + 1} of {effort.rounds}")
                mine = _ask(client, block, effort.seconds)
                pairs.append((mine, _rows_per_s(lambda: forest.predict_proba(block), effort.seconds)))
        _add(figure, kept, pairs)
    return figure


def _add(figure: Figure, kept: str, pairs: list[tuple[float, float]]) -> None:
    ratio = statistics.median(mine / its for mine, its in pairs)
    figure.lines.append(
        Line(
            what=f"rows per second, {ROWS} rows per request, Redis {kept}",
            ours=f"{statistics.median(mine for mine, _ in pairs):,.0f}",
            against=f"{statistics.median(its for _, its in pairs):,.0f} in process",
            result=f"{ratio:.2f} times",
            target=f"at least {TARGET:g} times",
            met=ratio >= TARGET,
        )
    )
    figure.data[kept] = {"ratio": ratio, "pairs_rows_per_s": pairs}


def _ask(client: Client, block: models.Rows, seconds: float) -> float:
    window: deque[Prediction[Any]] = deque(
        client.submit("forest", block, method=models.METHOD) for _ in range(IN_FLIGHT)
    )

    def one_more() -> None:
        window.append(client.submit("forest", block, method=models.METHOD))
        window.popleft().result(LIMIT_S)

    per_s = _rows_per_s(one_more, seconds)
    for prediction in window:
        prediction.result(LIMIT_S)
    return per_s


def _rows_per_s(work: Callable[[], object], seconds: float) -> float:
    """Return the rate of ``work``, which predicts :data:`ROWS` rows per call."""
    n, began_s = 0, time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < seconds:
        work()
        n += 1
    return n * ROWS / took_s
