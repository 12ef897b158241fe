"""CPU time of a saturated worker, by step."""

from __future__ import annotations

import json

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import Stage

IN_FLIGHT = 1024


def measure(effort: Effort) -> Figure:
    figure = Figure()
    with Stage(forest=models.forest(), free=models.Free()) as stage:
        for model in ("forest", "free"):
            effort.say(f"the steps of a saturated worker, model {model}")
            times = stage.folder / f"{model}.json"
            with (
                stage.worker("benchmarks.timed_worker", node=model, BENCHMARKS_TIMES=str(times)),
                ours.client(stage, model) as client,
            ):
                load = ours.measure(client, model, in_flight=IN_FLIGHT, seconds=effort.seconds)
            steps = json.loads(times.read_text())
            figure.data[model] = {"seconds": steps, "requests": len(load.latency_s)}
            busy_s = sum(steps.values())
            shares = sorted(((seconds / busy_s, step) for step, seconds in steps.items()), reverse=True)
            figure.lines.append(
                Line(
                    what=f"CPU time of a saturated worker by step, model {model}",
                    ours="\n".join(f"{share:5.1%} {step}" for share, step in shares),
                    against="",
                    result=f"{busy_s / len(load.latency_s) * 1e6:.0f} µs per request",
                    target="",
                    met=None,
                )
            )
    return figure
