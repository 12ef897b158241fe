"""Requests per second of one row each, compared with stock Celery in the same run; and by load."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import models, ours, stock
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import Load
from benchmarks.stage import Stage

IN_FLIGHT = 256
#: Loads of the plot. Stock Celery gets fewer of them, because its curve is flat.
LOADS = (1, 4, 16, 64, 256, 1024)
STOCK_LOADS = (1, 16, 256)

TARGETS = {"forest": 40.0, "free": 80.0}


def measure(effort: Effort) -> Figure:
    figure = Figure()
    with Stage(forest=models.forest(), free=models.Free()) as stage:
        for model in TARGETS:
            _against_stock(stage, model, effort, figure)
        _curve(stage, effort, figure)
    return figure


def _against_stock(stage: Stage, model: str, effort: Effort, figure: Figure) -> None:
    effort.say(f"{model}: stock Celery with each of its pools")
    pools = stock.best_pool(stage, model, in_flight=IN_FLIGHT, seconds=effort.seconds / 2)
    pool = next(iter(pools))
    pairs: list[tuple[Load, Load]] = []
    with stock.worker(stage, pool), ours.worker(stage), ours.client(stage, model) as client:
        for number in range(effort.rounds):
            effort.say(f"{model}: Modelane and stock Celery ({pool}), pair {number + 1} of {effort.rounds}")
            pairs.append(
                (
                    ours.measure(client, model, in_flight=IN_FLIGHT, seconds=effort.seconds),
                    stock.measure(stage, model, in_flight=IN_FLIGHT, seconds=effort.seconds),
                )
            )
    ratio = statistics.median(mine.per_s / its.per_s for mine, its in pairs)
    mine_per_s = statistics.median(mine.per_s for mine, _ in pairs)
    its_per_s = statistics.median(its.per_s for _, its in pairs)
    figure.lines.append(
        Line(
            what=f"requests per second, model {model}, {IN_FLIGHT} in flight",
            ours=f"{mine_per_s:,.0f}",
            against=f"{its_per_s:,.0f} by stock Celery, {pool}",
            result=f"{ratio:.1f} times",
            target=f"at least {TARGETS[model]:g} times",
            met=ratio >= TARGETS[model],
        )
    )
    figure.data[model] = {
        "ratio": ratio,
        "pairs": [{"modelane_per_s": mine.per_s, "stock_per_s": its.per_s} for mine, its in pairs],
        "stock_pools_per_s": pools,
    }


def _curve(stage: Stage, effort: Effort, figure: Figure) -> None:
    curves: dict[str, list[dict[str, Any]]] = {"modelane": [], "stock": []}
    with stock.worker(stage, "solo"), ours.worker(stage), ours.client(stage, "forest") as client:
        for in_flight in LOADS:
            effort.say(f"the forest with {in_flight} in flight")
            load = ours.measure(client, "forest", in_flight=in_flight, seconds=effort.seconds)
            curves["modelane"].append(_point(load))
            if in_flight in STOCK_LOADS:
                load = stock.measure(stage, "forest", in_flight=in_flight, seconds=effort.seconds)
                curves["stock"].append(_point(load))
    figure.data["curves"] = curves


def _point(load: Load) -> dict[str, Any]:
    return {
        "in_flight": load.in_flight,
        "per_s": load.per_s,
        "p50_ms": load.latency_ms(50),
        "p99_ms": load.latency_ms(99),
    }
