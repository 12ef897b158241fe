"""A condition variable in one object, for futures of which there are tens of thousands.

:class:`threading.Condition` is eight, and each pass of Python's garbage collector looks at all of them: with
10,000 requests in flight it held every thread for 30 ms, most of it for conditions that no thread waits on.
"""

from __future__ import annotations

import threading
from _thread import RLock


class Monitor(RLock):  # type: ignore[misc]  # typeshed has it final; it is not
    """What :class:`concurrent.futures.Future` needs of a condition; made whole when a thread waits on it."""

    __slots__ = ("_condition", "_n_waiting")

    def __init__(self) -> None:
        self._condition: threading.Condition | None = None
        self._n_waiting = 0

    def wait(self, timeout: float | None = None) -> bool:
        """The lock must be held, here as in :meth:`notify_all`."""
        if self._condition is None:
            self._condition = threading.Condition(self)
        self._n_waiting += 1
        try:
            return self._condition.wait(timeout)
        finally:
            self._n_waiting -= 1
            if not self._n_waiting:
                self._condition = None  # it holds this one, and both would be garbage only together

    def notify_all(self) -> None:
        if self._condition is not None:
            self._condition.notify_all()
