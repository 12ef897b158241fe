"""Requests that never stop while something breaks, and what became of each."""

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

#: A stored answer, as Redis writes it down before it tells anybody.
_STORED = re.compile(rb"\r\n\$3\r\nSET\r\n\$\d+\r\ncelery-task-meta-([^\r]+)\r\n")


def stored_in(folder: Path) -> Counter[str]:
    """How often each answer was stored: the append-only file forgets nothing, whatever breaks."""
    written = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.aof")))
    return Counter(id_.decode() for id_ in _STORED.findall(written))


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when it happened, and how many requests were in flight."""

    at_s: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """A row of the fault table.

    Attributes:
        times: how often the fault was injected.
        in_flight: requests that were in flight then, summed.
        not_once: answers that were stored never, or more than once.
        fenced: answers that came after another worker's and changed nothing.
        first_answer_s: the longest silence after a fault.
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
    """What was sent, when something broke, and when answers came."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Any]] = []
        self.answered_at_s: list[float] = []
        self.strikes: list[Strike] = []

    def add(self, number: int, prediction: Prediction[Any]) -> None:
        """A request for the row of that number."""
        self.sent.append((number, prediction))
        prediction.add_done_callback(lambda _: self.answered_at_s.append(time.monotonic()))

    def struck(self) -> None:
        """A fault has just happened."""
        in_flight = sum(not prediction.done() for _, prediction in list(self.sent))
        self.strikes.append(Strike(time.monotonic(), in_flight))

    def is_answered_again(self) -> bool:
        """Whether an answer has come since the last strike."""
        return self.answered_at_s[-1] > self.strikes[-1].at_s

    def some_answers(self, most: int = 300) -> Callable[[], bool]:
        """A question whose answer is yes after a random number of answers: a random moment under load."""
        enough = len(self.answered_at_s) + random.randrange(most)
        return lambda: len(self.answered_at_s) > enough

    def wait(self) -> None:
        """Until all have ended."""
        for _, prediction in self.sent:
            prediction.exception()

    def toll(self, fault: str, stored: Counter[str], fenced: int) -> Toll:
        """Count, when all have ended."""
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
        """Until the first answer after it; a strike after the last answer was met by none."""
        return min((at - strike.at_s for at in self.answered_at_s if at > strike.at_s), default=0.0)


class Load(Ledger, AbstractContextManager["Load"]):
    """A client that keeps so many single-row requests in flight."""

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
