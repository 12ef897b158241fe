"""A stock Celery worker under the same load as Modelane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from benchmarks import models
from benchmarks.load import LIMIT_S, Load, closed_loop
from benchmarks.stage import Stage

#: Ways to run a stock worker on two cores; Modelane is compared with the fastest one.
POOLS = {
    "solo": ("-P", "solo"),
    "prefork -c 2": ("-P", "prefork", "-c", "2"),
    "threads -c 2": ("-P", "threads", "-c", "2"),
}

#: The names in :mod:`benchmarks.stock_app`, which loads its models when it is imported.
QUEUE = "stock"
TASK = "benchmarks.predict"


@contextmanager
def worker(stage: Stage, pool: str) -> Iterator[None]:
    with stage.worker("benchmarks.stock_app", *POOLS[pool], "--loglevel=ERROR", node="stock"):
        yield


def measure(stage: Stage, model: str, *, in_flight: int, seconds: float) -> Load:
    """Run a closed loop with the stock worker that runs on ``stage``."""
    with Celery(broker=stage.redis.url, backend=stage.redis.url) as app:

        def send(rows: models.Rows) -> Any:
            return app.send_task(TASK, (model, rows.tolist()), queue=QUEUE)

        send(models.rows()[:1]).get(LIMIT_S)
        return closed_loop(send, lambda sent: sent.get(timeout=LIMIT_S), in_flight=in_flight, seconds=seconds)


def best_pool(stage: Stage, model: str, *, in_flight: int, seconds: float) -> dict[str, float]:
    """Return the requests per second of each pool, the fastest one first."""
    found: dict[str, float] = {}
    for pool in POOLS:
        with worker(stage, pool):
            found[pool] = measure(stage, model, in_flight=in_flight, seconds=seconds).per_s
    return dict(sorted(found.items(), key=lambda item: -item[1]))
