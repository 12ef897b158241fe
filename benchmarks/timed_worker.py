"""A prediction worker that measures its steps: ``celery -A benchmarks.timed_worker worker``.

When it stops, it writes the CPU seconds of each step, without the steps that it calls, to the file that
``BENCHMARKS_TIMES`` names. It measures CPU time, because wall time on a busy machine depends on other
processes.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from modelane.broker.leased_queue import LeasedQueue
from modelane_worker.celery import app
from modelane_worker.inference.engine import Engine
from modelane_worker.lanes.event_publisher import EventPublisher
from modelane_worker.lanes.lane import Lane
from modelane_worker.lanes.prefetch import Prefetcher
from modelane_worker.lanes.settler import Settler
from modelane_worker.lanes.task_events import TaskEvents
from modelane_worker.serving.predict_service import PredictService

__all__ = ["app"]

STEPS: tuple[tuple[type[Any], str, str], ...] = (
    (LeasedQueue, "reserve", "reserve: Redis"),
    (Prefetcher, "_reserve", "decode"),
    (PredictService, "serve", "check, join, split"),
    (Engine, "predict", "predict"),
    (Settler, "settle", "write results"),
    (LeasedQueue, "settle", "settle: Redis"),
    (TaskEvents, "received", "events"),
    (TaskEvents, "started", "events"),
    (TaskEvents, "ended", "events"),
    (EventPublisher, "_publish", "publish events, in a thread"),
    (Lane, "_serve", "the loop itself"),
)

_seconds: defaultdict[str, float] = defaultdict(float)
_running = threading.local()


def _timed(owner: type[Any], method: str, step: str) -> None:
    work = getattr(owner, method)

    @functools.wraps(work)
    def timed(*args: Any, **kwargs: Any) -> Any:
        inner_s, _running.inner_s = getattr(_running, "inner_s", 0.0), 0.0
        began_s = time.thread_time()
        try:
            return work(*args, **kwargs)
        finally:
            took_s = time.thread_time() - began_s
            _seconds[step] += took_s - _running.inner_s
            _running.inner_s = inner_s + took_s

    setattr(owner, method, timed)


for _step in STEPS:
    _timed(*_step)
atexit.register(lambda: Path(os.environ["BENCHMARKS_TIMES"]).write_text(json.dumps(_seconds)))
