"""The third thread of the client: ends what is overdue, and never waits for the network as the others do."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from modelane.client.background_thread import OwnThread

logger = logging.getLogger(__name__)

#: Seconds between two looks at all that is pending: as late as a future may end, and no busy loop.
PAUSE_S = 0.02


class Deadlines:
    """Wakes up when the soonest deadline passes.

    Args:
        end_overdue: ends what is overdue and returns the soonest deadline of the rest; infinite if none.
    """

    def __init__(self, end_overdue: Callable[[], float]) -> None:
        self._end_overdue = end_overdue
        self._soonest_s = math.inf
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = OwnThread(self._run, "modelane-deadlines")

    def start(self) -> None:
        self._thread.start()

    def heed(self, deadline_s: float) -> None:
        """Something is pending now until ``deadline_s``, on the monotonic clock."""
        if deadline_s < self._soonest_s:  # seldom: most deadlines are as far away as the one before
            with self._changed:
                self._soonest_s = min(self._soonest_s, deadline_s)
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closing.set()
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            try:
                self.heed(self._end_overdue())
            except Exception:
                logger.exception("deadlines cannot be looked at")
                self.heed(time.monotonic())
            self._closing.wait(PAUSE_S)

    def _wait(self) -> bool:
        """Until the soonest deadline has passed; False if nothing is pending any more, for good."""
        with self._changed:
            while not self._closing.is_set():
                left_s = self._soonest_s - time.monotonic()
                if left_s <= 0:
                    self._soonest_s = math.inf  # before the look: what is added meanwhile is heeded again
                    return True
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            return False
