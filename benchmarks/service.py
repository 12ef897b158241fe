"""A service in its own process, without scikit-learn: `python -m benchmarks.service WHAT URL N SECONDS`.

It prints one JSON document.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections import deque
from typing import Any

import numpy as np

from modelane import Client
from modelane.client.client import Prediction

METHOD = "predict_proba"
ROW = np.linspace(0.0, 1.0, 30)[None]
#: Seconds that one answer may take before the measurement fails.
LIMIT_S = 120.0
#: Requests in flight, of all threads together.
IN_FLIGHT = 1024


def awaits(client: Client, n: int, seconds: float) -> dict[str, Any]:
    """Let ``n`` tasks each await one request after another; measure how long their event loop is blocked."""
    return asyncio.run(_awaits(client, n, seconds))


def spared(client: Client, n: int, seconds: float) -> dict[str, Any]:
    """Do the same with the garbage collector set as docs/how-to/asyncio.md says."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 3, 5000)
    return asyncio.run(_awaits(client, n, seconds))


async def _awaits(client: Client, n: int, seconds: float) -> dict[str, Any]:
    stalls_s: list[float] = []
    n_answers, until_s, is_over = 0, float("inf"), False

    async def ask() -> None:
        nonlocal n_answers
        while True:
            await client.submit("free", ROW, method=METHOD, timeout_s=LIMIT_S)
            n_answers += 1
            if time.perf_counter() >= until_s:
                return

    async def tick() -> None:
        while not is_over:
            asleep_s = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls_s.append(time.perf_counter() - asleep_s - 0.001)

    collecting_s = _watch_collector()
    ticking = asyncio.create_task(tick())
    async with asyncio.TaskGroup() as asking:  # `gather` itself holds the loop for 20 ms
        for number in range(n):
            asking.create_task(ask())
            if number % 16 == 15:  # start them one after the other, as callers do
                await asyncio.sleep(0)
        began_s, n_before = time.perf_counter(), n_answers
        until_s = began_s + seconds
    took_s = time.perf_counter() - began_s
    is_over = True
    await ticking
    return {
        "longest_stall_ms": max(stalls_s) * 1e3,
        "longest_collection_ms": max(collecting_s, default=0.0) * 1e3,
        "p99_stall_ms": float(np.percentile(stalls_s, 99) * 1e3),
        "per_s": (n_answers - n_before) / took_s,
        "awaits": n,
        "answers": n_answers,
    }


def _watch_collector() -> list[float]:
    """Return a list to which the seconds of each pass of Python's garbage collector are added."""
    took_s: list[float] = []
    began_s = 0.0

    def watch(phase: str, _: object) -> None:
        nonlocal began_s
        if phase == "start":
            began_s = time.perf_counter()
        else:
            took_s.append(time.perf_counter() - began_s)

    gc.callbacks.append(watch)
    return took_s


def threads(client: Client, n: int, seconds: float) -> dict[str, Any]:
    """Let ``n`` threads share :data:`IN_FLIGHT` requests; measure the rate and the CPU time of submit."""
    counts, spent_s = [0] * n, [0.0] * n
    began_s = time.perf_counter()
    until_s = began_s + seconds

    def ask(number: int) -> None:
        window: deque[Prediction[Any]] = deque()
        while True:
            while len(window) < IN_FLIGHT // n and time.perf_counter() < until_s:
                submit_s = time.thread_time()
                window.append(client.submit("free", ROW, method=METHOD, timeout_s=LIMIT_S))
                spent_s[number] += time.thread_time() - submit_s
            if not window:
                return
            window.popleft().result(LIMIT_S)
            counts[number] += 1

    running = [threading.Thread(target=ask, args=(number,)) for number in range(n)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    took_s = time.perf_counter() - began_s
    return {"per_s": sum(counts) / took_s, "submit_us": sum(spent_s) / sum(counts) * 1e6}


def main() -> None:
    what, url, n, seconds = sys.argv[1:]
    with Client(url) as client:
        client.predict("free", ROW, method=METHOD, timeout_s=LIMIT_S)
        do = {"awaits": awaits, "spared": spared, "threads": threads}[what]
        print(json.dumps(do(client, int(n), float(seconds))))


if __name__ == "__main__":
    main()
