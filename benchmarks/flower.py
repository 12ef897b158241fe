"""The CPU that Flower needs per request, and whether it counts every request; measured separately."""

from __future__ import annotations

import http.client
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S
from benchmarks.stage import ROOT, START_LIMIT_S, STOP_LIMIT_S, Stage
from modelane.local.logged_process import LoggedProcess
from modelane.local.ports import LOOPBACK, free_port

IN_FLIGHT = 64
_SUCCEEDED = re.compile(r'^flower_events_total\{[^}]*type="task-succeeded"[^}]*\} ([\d.e+]+)$', re.MULTILINE)


def measure(effort: Effort) -> Figure:
    seconds = effort.rounds * effort.seconds
    with Stage(forest=models.forest()) as stage, ours.worker(stage), _flower(stage) as (port, process):
        with ours.client(stage, "forest") as client:
            before_s = sum(process.cpu_times()[:2])
            effort.say("a load with Flower running")
            load = ours.measure(client, "forest", in_flight=IN_FLIGHT, seconds=seconds)
        n = len(load.latency_s) + 1  # and the first one, which the client sent when it opened
        effort.say("waiting until Flower has read all events")
        seen = _seen(port, at_least=n)
        cpu_ms = (sum(process.cpu_times()[:2]) - before_s) / n * 1e3
    line = Line(
        what=f"tasks that Flower counts, {IN_FLIGHT} in flight, {load.per_s:,.0f} requests per second",
        ours=f"{seen:,} counted",
        against=f"{n:,} answered",
        result=f"{cpu_ms:.2f} ms of Flower's CPU per request",
        target="every request exactly once",
        met=seen == n,
    )
    return Figure([line], {"seen": seen, "answered": n, "cpu_ms": cpu_ms, "per_s": load.per_s})


@contextmanager
def _flower(stage: Stage) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    command = [sys.executable, "-m", "celery", "-A", "modelane_worker", "flower"]
    command += [f"--address={LOOPBACK}", f"--port={port}"]
    process = LoggedProcess("Flower", command, stage.folder / "flower.log", env=stage.environ(), cwd=ROOT)
    try:
        process.wait_until(lambda: _listens(stage), what="start", deadline_s=START_LIMIT_S)
        yield port, psutil.Process(process.pid)
    finally:
        process.stop(STOP_LIMIT_S)


def _listens(stage: Stage) -> bool:
    """Return whether Flower has subscribed to events: it uses a pattern, workers do not."""
    return stage.redis_client().pubsub_numpat() > 0


def _seen(port: int, *, at_least: int) -> int:
    """Return how many task-succeeded events Flower has counted: wait for ``at_least``, up to the limit."""
    until_s = time.monotonic() + LIMIT_S
    while (seen := _count(port)) < at_least and time.monotonic() < until_s:
        time.sleep(0.5)
    return seen


def _count(port: int) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return int(sum(map(float, _SUCCEEDED.findall(text))))
