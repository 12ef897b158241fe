"""Fails the futures whose deadline has passed, in a thread that never waits for the network."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

from modelane.client.background_thread import BackgroundThread
from modelane.client.prediction import Prediction
from modelane.client.transport.outbox import Outbox
from modelane.client.transport.pending import Pending
from modelane.errors import BrokerUnavailable, TimedOut

logger = logging.getLogger(__name__)

#: Seconds between two checks of all pending futures: how late a timeout may be, and no busy loop.
PAUSE_S = 0.02


class Timeouts:
    """Wakes up when the soonest deadline passes.

    Args:
        pending: futures to fail.
        outbox: knows why Redis does not accept requests.
    """

    def __init__(self, pending: Pending, outbox: Outbox) -> None:
        self._pending = pending
        self._outbox = outbox
        self._soonest_s = math.inf
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = BackgroundThread(self._run, "modelane-timeouts")

    def start(self) -> None:
        self._thread.start()

    def watch(self, deadline_s: float) -> None:
        """Wake up at ``deadline_s`` (monotonic clock) at the latest; thread-safe."""
        if deadline_s < self._soonest_s:  # rarely: most deadlines are later than the one before
            with self._changed:
                self._soonest_s = min(self._soonest_s, deadline_s)
                self._changed.notify()

    def close(self) -> None:
        """End the thread soon; does not wait for it."""
        with self._changed:
            self._closing.set()
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            try:
                self.watch(self._fail_overdue())
            except Exception:
                logger.exception("checking timeouts failed")
                self.watch(time.monotonic())
            self._closing.wait(PAUSE_S)

    def _wait(self) -> bool:
        """Wait until the soonest deadline has passed; return False when the client is closed."""
        with self._changed:
            while not self._closing.is_set():
                left_s = self._soonest_s - time.monotonic()
                if left_s <= 0:
                    self._soonest_s = math.inf  # before the check: futures that are added later set it again
                    return True
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            return False

    def _fail_overdue(self) -> float:
        """Fail the overdue futures; return the soonest deadline of the others, infinite if there are none."""
        now_s, soonest_s = time.monotonic(), math.inf
        for prediction in self._pending.all():
            if prediction.deadline_s > now_s:
                soonest_s = min(soonest_s, prediction.deadline_s)
            else:
                prediction.fail(self._error(prediction))
        return soonest_s

    def _error(self, prediction: Prediction[Any]) -> TimedOut | BrokerUnavailable:
        timeout_s = prediction.deadline_s - prediction.submitted_s
        if prediction.sent:
            return TimedOut(f"no answer within {timeout_s:.3g} s: {prediction.timeout_hint}")
        return BrokerUnavailable(
            f"Redis did not accept the request within {timeout_s:.3g} s: {self._outbox.redis_problem}"
        )
