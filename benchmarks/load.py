"""A closed loop: a fixed number of requests is in flight, and each answer starts the next request."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from benchmarks import models

#: Seconds that one answer may take before the measurement fails.
LIMIT_S = 60.0


class Pending(Protocol):
    """An answer that is not there yet."""

    def result(self, timeout: float) -> object: ...


Sent = TypeVar("Sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a closed loop measured.

    Attributes:
        in_flight: Requests in flight.
        per_s: Requests answered per second.
        latency_s: Of each request, from before it is created until the caller has its answer.
    """

    in_flight: int
    per_s: float
    latency_s: list[float]

    def latency_ms(self, percentile: float) -> float:
        return float(np.percentile(self.latency_s, percentile) * 1e3)


def closed_loop(
    send: Callable[[models.Rows], Sent],
    collect: Callable[[Sent], object],
    *,
    in_flight: int,
    seconds: float,
) -> Load:
    """Send requests of one row for ``seconds``, then wait for the requests that are still in flight.

    It always waits for the oldest request: a lane answers in order, and a stock worker almost in order.

    Args:
        send: Sends a row, shape (1, d).
        collect: Waits for the answer of what ``send`` returned.
        in_flight: Requests in flight.
        seconds: How long to send.
    """
    table = models.rows()
    window: deque[tuple[float, Sent]] = deque()
    latency_s: list[float] = []
    number, began_s = 0, time.perf_counter()
    until_s = began_s + seconds
    while window or time.perf_counter() < until_s:
        while len(window) < in_flight and (now_s := time.perf_counter()) < until_s:
            at = number % len(table)
            window.append((now_s, send(table[at : at + 1])))
            number += 1
        sent_s, sent = window.popleft()
        collect(sent)
        latency_s.append(time.perf_counter() - sent_s)
    return Load(
        in_flight=in_flight, per_s=len(latency_s) / (time.perf_counter() - began_s), latency_s=latency_s
    )
