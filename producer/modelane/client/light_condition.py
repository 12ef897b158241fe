"""A condition variable in one object, for futures of which tens of thousands may be pending.

A :class:`threading.Condition` consists of eight objects, and Python's garbage collector visits all of them:
with 10,000 requests in flight a collection stopped every thread for 30 ms, mostly for conditions that no
thread waits on.
"""

from __future__ import annotations

import threading
from _thread import RLock


class LightCondition(RLock):  # type: ignore[misc]  # typeshed declares it final; it is not
    """The part of a condition that :class:`concurrent.futures.Future` needs.

    The full condition is created only while a thread waits.
    """

    __slots__ = ("_condition", "_n_waiting")

    def __init__(self) -> None:
        self._condition: threading.Condition | None = None
        self._n_waiting = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until notified; the caller must hold the lock."""
        if self._condition is None:
            self._condition = threading.Condition(self)
        self._n_waiting += 1
        try:
            return self._condition.wait(timeout)
        finally:
            self._n_waiting -= 1
            if not self._n_waiting:
                self._condition = None  # it refers to this object: only the garbage collector could free both

    def notify_all(self) -> None:
        """Wake all waiting threads; the caller must hold the lock."""
        if self._condition is not None:
            self._condition.notify_all()
