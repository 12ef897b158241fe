"""Redis is killed for five seconds in the middle of 20,000 requests: is each answered exactly once?"""

from __future__ import annotations

import gc
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import redis

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.load import LIMIT_S
from benchmarks.stage import Stage
from modelane import Client, Prediction
from modelane.errors import ModelaneError

N = 20_000
#: Requests per second; half of them are submitted while Redis is away.
PER_S = 2_000
AWAY_S = 5.0
#: Redis is killed after this many requests.
KILLED_AT = N // 4

#: A stored answer in the append-only file, which Redis writes before it publishes the answer.
_STORED = re.compile(rb"\r\n\$3\r\nSET\r\n\$\d+\r\ncelery-task-meta-([^\r]+)\r\n")


def measure(effort: Effort) -> Figure:
    with Stage(free=models.Free()) as stage, ours.worker(stage), ours.client(stage, "free") as client:
        _keep_every_write(stage)
        effort.say(f"{N:,} requests, with Redis away for {AWAY_S:g} s")
        sent, longest_s, collected_s = _send_all(stage, client)
        restarted_s = time.monotonic()
        answered = sum(_is_right(number, prediction) for number, prediction in enumerate(sent))
        took_s = time.monotonic() - restarted_s
        stored = _stored_in(stage.folder / "redis")
    twice = sum(stored[prediction.id] > 1 for prediction in sent)
    line = Line(
        what=f"{N:,} requests, Redis killed for {AWAY_S:g} s in the middle",
        ours=f"{answered:,} answered, {twice} stored twice",
        against=f"longest submit {longest_s * 1e3:.0f} ms ({collected_s * 1e3:.0f} ms of it Python's garbage "
        f"collector), all answered {took_s:.1f} s after the last submit",
        result="",
        target="all answered, none twice",
        met=answered == N and twice == 0,
    )
    data = {
        "n": N,
        "answered": answered,
        "stored_twice": twice,
        "longest_submit_s": longest_s,
        "longest_submit_collected_s": collected_s,
    }
    return Figure([line], data)


def _keep_every_write(stage: Stage) -> None:
    """Disable rewriting of the append-only file, which would hide what was stored twice."""
    with redis.Redis.from_url(stage.redis.url) as server:
        server.config_set("auto-aof-rewrite-percentage", 0)


def _send_all(stage: Stage, client: Client) -> tuple[list[Prediction[Any]], float, float]:
    """Return the futures, the longest submit in seconds, and the garbage collection in that submit."""
    sent: list[Prediction[Any]] = []
    submits_s: list[tuple[float, float]] = []

    def send() -> None:
        began_s = time.monotonic()
        for number in range(N):
            time.sleep(max(0.0, began_s + number / PER_S - time.monotonic()))
            row = np.full((1, 30), float(number))
            submit_s, before_s = time.perf_counter(), sum(collected_s)
            sent.append(client.submit("free", row, method=models.METHOD, timeout_s=LIMIT_S * 2))
            submits_s.append((time.perf_counter() - submit_s, sum(collected_s) - before_s))

    sender = threading.Thread(target=send)
    with _collections() as collected_s:
        sender.start()
        while len(sent) < KILLED_AT:
            time.sleep(0.01)
        stage.redis.kill()
        time.sleep(AWAY_S)
        stage.redis.start()  # in this thread: the server ends together with the thread that started it
        _keep_every_write(stage)
        sender.join()
    return sent, *max(submits_s)


@contextmanager
def _collections() -> Iterator[list[float]]:
    """Record the seconds of each full garbage collection; all threads wait for it."""
    took_s: list[float] = []
    began_s = 0.0

    def note(phase: str, info: dict[str, int]) -> None:
        nonlocal began_s
        if info["generation"] < 2:
            return
        if phase == "start":
            began_s = time.perf_counter()
        else:
            took_s.append(time.perf_counter() - began_s)

    gc.callbacks.append(note)
    try:
        yield took_s
    finally:
        gc.callbacks.remove(note)


def _is_right(number: int, prediction: Prediction[Any]) -> bool:
    try:
        return bool((prediction.result(LIMIT_S * 2).values == number).all())
    except ModelaneError:
        return False


def _stored_in(folder: Path) -> Counter[str]:
    written = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.aof")))
    return Counter(id_.decode() for id_ in _STORED.findall(written))
