"""Latency of one request at a time on a lane whose worker is flooded with requests for another lane.

Compared with an idle other lane, a request may wait longer by at most one batch of the flooded lane.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S, closed_loop
from benchmarks.stage import ROOT, STOP_LIMIT_S, Stage
from modelane import Client
from modelane.local.die_with_parent import die_with_parent

#: Requests in flight on the flooded lane.
FLOOD = 1024


def measure(effort: Effort) -> Figure:
    seconds = effort.rounds * effort.seconds
    with (
        Stage(forest=models.forest(), free=models.Free()) as stage,
        ours.worker(stage),
        ours.client(stage, "free") as client,
    ):
        effort.say("one request at a time beside an idle lane")
        alone_ms = _latencies_ms(client, seconds)
        effort.say("one request at a time beside a flooded lane")
        with _flood(stage) as batches_ms:
            beside_ms = _latencies_ms(client, seconds)
        batch_ms = median(batches_ms)
    figure = Figure(data={"batch_ms": batch_ms})
    for percentile in (50, 99):
        mine, its = np.percentile(beside_ms, percentile), np.percentile(alone_ms, percentile)
        figure.lines.append(
            Line(
                what=f"latency beside a flooded lane ({FLOOD} in flight), p{percentile}",
                ours=f"{mine:.1f} ms",
                against=f"{its:.1f} ms beside an idle lane",
                result=f"{mine - its:+.1f} ms",
                target=f"at most one batch of the flooded lane, {batch_ms:.1f} ms"
                if percentile == 50
                else "",
                met=bool(mine - its <= batch_ms) if percentile == 50 else None,
            )
        )
        figure.data[f"p{percentile}_ms"] = {"beside": mine, "alone": its}
    return figure


def _latencies_ms(client: Client, seconds: float) -> list[float]:
    load = closed_loop(
        lambda rows: client.submit("free", rows, method=models.METHOD),
        lambda prediction: prediction.result(LIMIT_S),
        in_flight=1,
        seconds=seconds,
    )
    return [latency_s * 1e3 for latency_s in load.latency_s]


@contextmanager
def _flood(stage: Stage) -> Iterator[list[float]]:
    """Send requests for the other lane from a second process; yield a list of its batches' milliseconds.

    The list is filled when the context ends.
    """
    command = [sys.executable, "-m", "benchmarks.flood", "forest", str(FLOOD)]
    batches_ms: list[float] = []
    with (stage.folder / "flood").open("w+") as output:
        process = subprocess.Popen(die_with_parent(command), cwd=ROOT, env=stage.environ(), stdout=output)
        try:
            until_s = time.monotonic() + LIMIT_S
            while not output.tell() and time.monotonic() < until_s:
                output.seek(0, os.SEEK_END)
                time.sleep(0.05)
            yield batches_ms
        finally:
            process.terminate()
            process.wait(STOP_LIMIT_S)
        output.seek(0)
        batches_ms += [float(line) for line in output if line.endswith("\n")]
