"""Send the requests of the demo, and count their outcomes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane import Answer, Client, Prediction
from modelane.errors import ModelaneError
from modelane.settings import Settings
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

#: Largest number of one-row requests in flight, and how many are sent.
IN_FLIGHT, MANY = 256, 4096
#: Requests that each hold the whole hold-out.
BULK = 16
#: How far an answer may be from the in-process one.
TOLERANCE = 1e-9
#: Answers of the new version to wait for after a retraining, and the longest wait in seconds.
NEW_ANSWERS, SWAP_LIMIT_S = 256, 150.0
#: Seconds between two floods during a retraining: the trainer needs a part of the machine, and Flower keeps
#: only 100,000 tasks.
PAUSE_S = 0.25

METHOD = "predict_proba"

Rows = NDArray[np.float64]


@dataclass(slots=True)
class Tally:
    """Counts of requests and answers."""

    requests: int = 0
    answered: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)  #: version → answers
    latency_s: list[float] = field(default_factory=list)  #: of requests sent one by one
    requests_per_s: float = 0.0
    rows_per_s: float = 0.0


class Traffic:
    """Send the hold-out in several ways, and keep every answer for :meth:`compare`."""

    def __init__(self, client: Client, settings: Settings, model: str, hold_out: Rows) -> None:
        self.tally = Tally()
        self._client = client
        self._settings = settings
        self._model = model
        self._hold_out = hold_out
        self._answers: list[tuple[slice, Answer]] = []

    def one_by_one(self) -> str:
        """Send each row after the answer to the one before: measures the latency of an idle lane."""
        for number in range(len(self._hold_out)):
            began_s = time.perf_counter()
            self._collect([self._submit(slice(number, number + 1))])
            self.tally.latency_s.append(time.perf_counter() - began_s)
        p50, p99 = np.percentile(self.tally.latency_s, [50, 99]) * 1e3
        return f"{len(self._hold_out)} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    def all_at_once(self) -> str:
        """Send single rows with many in flight: the lane gathers them into batches."""
        began_s = time.perf_counter()
        self._flood(self._one_row(number) for number in range(MANY))
        self.tally.requests_per_s = MANY / (time.perf_counter() - began_s)
        return f"{MANY} requests, {self.tally.requests_per_s:,.0f} a second"

    def in_bulk(self) -> str:
        """Send the whole hold-out with each request."""
        began_s = time.perf_counter()
        self._flood([slice(None)] * BULK)
        rows = BULK * len(self._hold_out)
        self.tally.rows_per_s = rows / (time.perf_counter() - began_s)
        return f"{BULK} requests of {len(self._hold_out)} rows, {self.tally.rows_per_s:,.0f} rows a second"

    def through_a_retrain(self) -> str:
        """Keep sending while a trainer makes a new version and the worker swaps to it.

        Raises:
            ModelaneError: the retraining failed.
        """
        before = set(self.tally.versions)
        retraining = self._client.retrain(self._model, timeout_s=SWAP_LIMIT_S)
        sent, until_s = self.tally.requests, time.monotonic() + SWAP_LIMIT_S
        while time.monotonic() < until_s:
            self._flood(self._one_row(number) for number in range(IN_FLIGHT))
            new = sum(n for version, n in self.tally.versions.items() if version not in before)
            if retraining.done() and (new >= NEW_ANSWERS or retraining.exception()):
                break
            time.sleep(PAUSE_S)
        outcome = retraining.result()
        return (
            f"{self.tally.requests - sent} requests, {outcome.version} is the champion now ({outcome.reason})"
        )

    def compare(self) -> str:
        """Predict all requests again in this process, with the version that answered each."""
        trusted = TrustedKeys.load(self._settings.trusted_keys_path)
        store = Store(self._settings.store_path)
        for version in self.tally.versions:
            estimator: Any = artifact.load(store.read(self._model, version, trusted))
            expected = getattr(estimator, METHOD)(self._hold_out)
            for rows, answer in self._answers:
                if answer.version == version and not _same(answer.values, expected[rows]):
                    self.tally.wrong += 1
        return f"{self.tally.wrong} of {len(self._answers)} differ by more than {TOLERANCE:g}"

    def _one_row(self, number: int) -> slice:
        at = number % len(self._hold_out)
        return slice(at, at + 1)

    def _submit(self, rows: slice) -> tuple[slice, Prediction[Answer]]:
        self.tally.requests += 1
        return rows, self._client.submit(self._model, self._hold_out[rows], method=METHOD)

    def _flood(self, requests: Iterable[slice]) -> None:
        """Submit all, at most ``IN_FLIGHT`` of them unanswered at any time."""
        window = threading.BoundedSemaphore(IN_FLIGHT)
        sent: deque[tuple[slice, Prediction[Answer]]] = deque()
        for rows in requests:
            window.acquire()
            sent.append(self._submit(rows))
            sent[-1][1].add_done_callback(lambda _: window.release())
        self._collect(sent)

    def _collect(self, sent: Iterable[tuple[slice, Prediction[Answer]]]) -> None:
        for rows, prediction in sent:
            try:
                answer = prediction.result()
            except ModelaneError as error:
                self.tally.errors.append(f"{error.code}: {error}")
            else:
                self.tally.answered += 1
                self.tally.versions[answer.version] = self.tally.versions.get(answer.version, 0) + 1
                self._answers.append((rows, answer))


def _same(values: NDArray[Any], expected: NDArray[Any]) -> bool:
    return values.shape == expected.shape and bool(np.all(np.abs(values - expected) <= TOLERANCE))
