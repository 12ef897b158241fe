"""Number of rows in one predict, under a low, a medium and a saturating load."""

from __future__ import annotations

from collections import Counter

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S, closed_loop
from benchmarks.stage import Stage

#: Requests in flight.
LOADS = {"low": 2, "medium": 64, "saturating": 1024}


def measure(effort: Effort) -> Figure:
    figure = Figure()
    with Stage(forest=models.forest()) as stage, ours.worker(stage), ours.client(stage, "forest") as client:
        for load, in_flight in LOADS.items():
            effort.say(f"batch sizes under a {load} load")
            answers: Counter[int] = Counter()
            closed_loop(
                lambda rows: client.submit("forest", rows, method=models.METHOD),
                lambda sent, answers=answers: answers.update([sent.result(LIMIT_S).batch_rows]),
                in_flight=in_flight,
                seconds=effort.seconds,
            )
            # A batch of n rows was reported by n requests.
            batches = {size: n / size for size, n in sorted(answers.items())}
            n_batches, n_requests = sum(batches.values()), answers.total()
            figure.data[load] = {"in_flight": in_flight, "batches": batches}
            figure.lines.append(
                Line(
                    what=f"batch size, {load} load ({in_flight} in flight)",
                    ours=f"{n_requests / n_batches:.1f} rows, largest {max(batches)}",
                    against="",
                    result=f"{n_batches:,.0f} predicts for {n_requests:,} requests",
                    target="",
                    met=None,
                )
            )
    return figure
