"""A Modelane worker, and a client that sends requests as a service does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks import models
from benchmarks.load import LIMIT_S, Load, closed_loop
from benchmarks.stage import Stage
from modelane import Client


@contextmanager
def worker(stage: Stage, app: str = "modelane_worker") -> Iterator[psutil.Process]:
    with stage.worker(app, "--loglevel=INFO") as process:
        yield process


@contextmanager
def client(stage: Stage, *asked: str) -> Iterator[Client]:
    """Open a client, and wait until each of the models in ``asked`` has answered it."""
    with Client(settings=stage.settings) as opened:
        for model in asked:
            opened.predict(model, models.rows()[:1], method=models.METHOD, timeout_s=LIMIT_S)
        yield opened


def measure(opened: Client, model: str, *, in_flight: int, seconds: float) -> Load:
    return closed_loop(
        lambda rows: opened.submit(model, rows, method=models.METHOD),
        lambda prediction: prediction.result(LIMIT_S),
        in_flight=in_flight,
        seconds=seconds,
    )
