"""A continuous load of requests while faults are injected, and the outcome of each request."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faults import frail
from modelane.client import Client
from modelane.client.prediction import Prediction

#: A stored answer in the append-only file, which Redis writes before it publishes the answer.
_STORED = re.compile(rb"\r\n\$3\r\nSET\r\n\$\d+\r\ncelery-task-meta-([^\r]+)\r\n")


def stored_in(folder: Path) -> Counter[str]:
    """Return how often each answer was stored, by id: the append-only file records every write."""
    written = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.aof")))
    return Counter(id_.decode() for id_ in _STORED.findall(written))


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when it happened, and how many requests were in flight."""

    at_s: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """A row of the fault table: how often a fault was injected, and what it did to the requests.

    Attributes:
        times: number of times the fault was injected.
        in_flight: requests in flight at these times, summed.
        not_once: answers that were not stored exactly once.
        fenced: answers that were dropped because another worker had taken over the lease.
        first_answer_s: the longest time from a fault to the next answer.
    """

    fault: str
    times: int
    in_flight: int
    answered: int
    lost: int
    wrong: int
    not_once: int
    fenced: int
    first_answer_s: float


class Ledger:
    """Records requests, faults, and the times of the answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Any]] = []
        self.answered_at_s: list[float] = []
        self.strikes: list[Strike] = []

    def add(self, number: int, prediction: Prediction[Any]) -> None:
        """Record a request for the row with this number."""
        self.sent.append((number, prediction))
        prediction.add_done_callback(lambda _: self.answered_at_s.append(time.monotonic()))

    def struck(self) -> None:
        """Record that a fault has just been injected."""
        in_flight = sum(not prediction.done() for _, prediction in list(self.sent))
        self.strikes.append(Strike(time.monotonic(), in_flight))

    def is_answered_again(self) -> bool:
        """Return whether an answer has arrived since the last fault."""
        return self.answered_at_s[-1] > self.strikes[-1].at_s

    def some_answers(self, most: int = 300) -> Callable[[], bool]:
        """Return a function that is true after a random number of answers: a random moment under load."""
        enough = len(self.answered_at_s) + random.randrange(most)
        return lambda: len(self.answered_at_s) > enough

    def wait(self) -> None:
        """Wait until every request has an answer or an error."""
        for _, prediction in self.sent:
            prediction.exception()

    def toll(self, fault: str, stored: Counter[str], fenced: int) -> Toll:
        """Return the row of the fault table, after :meth:`wait`."""
        expected = frail.Frail().predict(frail.rows())
        lost = wrong = 0
        for number, prediction in self.sent:
            if prediction.exception() is not None:
                lost += 1
            elif not np.array_equal(prediction.result().values, expected[number : number + 1]):
                wrong += 1
        return Toll(
            fault=fault,
            times=len(self.strikes),
            in_flight=sum(strike.in_flight for strike in self.strikes),
            answered=len(self.sent) - lost,
            lost=lost,
            wrong=wrong,
            not_once=sum(stored[prediction.id] != 1 for _, prediction in self.sent),
            fenced=fenced,
            first_answer_s=max(self._silence_s(strike) for strike in self.strikes),
        )

    def _silence_s(self, strike: Strike) -> float:
        """Return the seconds to the first answer after a fault; 0 if there was no answer after it."""
        return min((at - strike.at_s for at in self.answered_at_s if at > strike.at_s), default=0.0)


class Load(Ledger, AbstractContextManager["Load"]):
    """A client that keeps ``in_flight`` requests of one row in flight."""

    def __init__(self, client: Client, in_flight: int) -> None:
        super().__init__()
        self._client = client
        self._room = threading.Semaphore(in_flight)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        rows, number = frail.rows(), 0
        while not self._stopping.is_set():
            self._room.acquire()
            number = (number + 1) % len(rows)
            prediction = self._client.submit(frail.MODEL, rows[number : number + 1])
            self.add(number, prediction)
            prediction.add_done_callback(lambda _: self._room.release())
