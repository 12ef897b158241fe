"""Latency of one request at a time on an idle lane, compared with the same predict in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S
from benchmarks.stage import Stage

#: Milliseconds above the in-process predict, by percentile.
TARGETS = {50: 1.0, 99: 4.0}
#: Requests per second of effort: a pair of alternating requests takes about 12 ms.
PAIRS_PER_S = 60


def measure(effort: Effort) -> Figure:
    figure, table = Figure(), models.rows()
    forest = models.forest()
    ask: list[float] = []
    in_process: list[float] = []
    with Stage(forest=forest) as stage, ours.worker(stage), ours.client(stage, "forest") as client:
        effort.say("one request at a time, alternating with a predict in this process")
        for number in range(int(effort.rounds * effort.seconds * PAIRS_PER_S)):
            row = table[number % len(table)][None]
            in_process.append(_timed(lambda row=row: forest.predict_proba(row)))
            ask.append(
                _timed(lambda row=row: client.submit("forest", row, method=models.METHOD).result(LIMIT_S))
            )
    for percentile, target_ms in TARGETS.items():
        mine_ms = float(np.percentile(ask, percentile) * 1e3)
        its_ms = float(np.percentile(in_process, percentile) * 1e3)
        figure.lines.append(
            Line(
                what=f"latency with one request in flight, p{percentile}",
                ours=f"{mine_ms:.2f} ms",
                against=f"{its_ms:.2f} ms in process",
                result=f"{mine_ms - its_ms:+.2f} ms",
                target=f"at most {target_ms:+g} ms",
                met=mine_ms - its_ms <= target_ms,
            )
        )
        figure.data[f"p{percentile}_ms"] = {"modelane": mine_ms, "in_process": its_ms}
    figure.data["n"] = len(ask)
    return figure


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
