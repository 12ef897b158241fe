"""Ten thousand awaits on one event loop, and how many requests threads and tasks can send a second."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import ROOT, Stage

N_AWAITS = 10_000
TARGET_MS = 20.0
THREADS = (1, 8, 64)
LIMIT_S = 300.0
#: How Python's garbage collector is set, by what :mod:`benchmarks.service` is asked for.
COLLECTORS = {"spared": "set as docs/how-to/asyncio.md says", "awaits": "as Python sets it"}


def measure(effort: Effort) -> Figure:
    figure = Figure()
    with Stage(free=models.Free()) as stage, ours.worker(stage):
        stalls: dict[str, list[dict[str, Any]]] = {what: [] for what in COLLECTORS}
        for number in range(effort.rounds):
            for what, those in stalls.items():
                effort.say(f"{N_AWAITS:,} awaits on one event loop, {number + 1} of {effort.rounds}")
                those.append(_service(stage, what, N_AWAITS, effort.seconds))
        for what, those in stalls.items():
            _add_stall(figure, what, those)
        for n in THREADS:
            effort.say(f"submit from {n} threads")
            sent = _service(stage, "threads", n, effort.seconds)
            _add_rate(figure, f"{n} thread{'s' if n > 1 else ''}", sent)
            figure.data[f"threads_{n}"] = sent
        effort.say("submit from an event loop")
        sent = _service(stage, "awaits", 1024, effort.seconds)
        _add_rate(figure, "one event loop", sent)
        figure.data["loop"] = sent
    return figure


def _service(stage: Stage, what: str, n: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.service", what, stage.redis.url, str(n), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _add_stall(figure: Figure, what: str, stalls: list[dict[str, Any]]) -> None:
    longest_ms = statistics.median(stall["longest_stall_ms"] for stall in stalls)
    p99_ms = statistics.median(stall["p99_stall_ms"] for stall in stalls)
    collecting_ms = statistics.median(stall["longest_collection_ms"] for stall in stalls)
    per_s = statistics.median(stall["per_s"] for stall in stalls)
    figure.lines.append(
        Line(
            what=f"longest stall of an event loop with {N_AWAITS:,} concurrent awaits, garbage collector "
            f"{COLLECTORS[what]}",
            ours=f"{longest_ms:.1f} ms",
            against=f"p99 {p99_ms:.1f} ms, longest pass of the collector {collecting_ms:.1f} ms, "
            f"at {per_s:,.0f} answers a second",
            result="",
            target=f"under {TARGET_MS:g} ms" if what == "spared" else "",
            met=longest_ms < TARGET_MS if what == "spared" else None,
        )
    )
    figure.data[what] = stalls


def _add_rate(figure: Figure, who: str, sent: dict[str, Any]) -> None:
    submit_us = f"{sent['submit_us']:.0f} µs of CPU a submit" if "submit_us" in sent else ""
    figure.lines.append(
        Line(
            what=f"requests a second submitted and answered, {who}",
            ours=f"{sent['per_s']:,.0f}",
            against=submit_us,
            result="",
            target="",
            met=None,
        )
    )
