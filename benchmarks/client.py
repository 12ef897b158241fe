"""The client: stalls of an event loop with ten thousand awaits, and requests per second."""

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
#: Settings of Python's garbage collector, by the command of :mod:`benchmarks.service`.
COLLECTORS = {"spared": "set as docs/how-to/asyncio.md says", "awaits": "with Python's defaults"}


def measure(effort: Effort) -> Figure:
    figure = Figure()
    with Stage(free=models.Free()) as stage, ours.worker(stage):
        stalls: dict[str, list[dict[str, Any]]] = {command: [] for command in COLLECTORS}
        for number in range(effort.rounds):
            for command, results in stalls.items():
                effort.say(f"{N_AWAITS:,} awaits in one event loop, {number + 1} of {effort.rounds}")
                results.append(_service(stage, command, N_AWAITS, effort.seconds))
        for command, results in stalls.items():
            _add_stall(figure, command, results)
        for n in THREADS:
            effort.say(f"submitting from {n} threads")
            result = _service(stage, "threads", n, effort.seconds)
            _add_rate(figure, f"{n} thread{'s' if n > 1 else ''}", result)
            figure.data[f"threads_{n}"] = result
        effort.say("submitting from an event loop")
        result = _service(stage, "awaits", 1024, effort.seconds)
        _add_rate(figure, "one event loop", result)
        figure.data["loop"] = result
    return figure


def _service(stage: Stage, command: str, n: int, seconds: float) -> dict[str, Any]:
    program = [sys.executable, "-m", "benchmarks.service", command, stage.redis.url, str(n), str(seconds)]
    done = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _add_stall(figure: Figure, command: str, stalls: list[dict[str, Any]]) -> None:
    longest_ms = statistics.median(stall["longest_stall_ms"] for stall in stalls)
    p99_ms = statistics.median(stall["p99_stall_ms"] for stall in stalls)
    collecting_ms = statistics.median(stall["longest_collection_ms"] for stall in stalls)
    per_s = statistics.median(stall["per_s"] for stall in stalls)
    figure.lines.append(
        Line(
            what=f"longest stall of an event loop with {N_AWAITS:,} concurrent awaits, garbage collector "
            f"{COLLECTORS[command]}",
            ours=f"{longest_ms:.1f} ms",
            against=f"p99 {p99_ms:.1f} ms, longest collection {collecting_ms:.1f} ms, "
            f"at {per_s:,.0f} answers per second",
            result="",
            target=f"under {TARGET_MS:g} ms" if command == "spared" else "",
            met=longest_ms < TARGET_MS if command == "spared" else None,
        )
    )
    figure.data[command] = stalls


def _add_rate(figure: Figure, callers: str, result: dict[str, Any]) -> None:
    submit_us = f"{result['submit_us']:.0f} µs of CPU per submit" if "submit_us" in result else ""
    figure.lines.append(
        Line(
            what=f"requests per second submitted and answered, {callers}",
            ours=f"{result['per_s']:,.0f}",
            against=submit_us,
            result="",
            target="",
            met=None,
        )
    )
