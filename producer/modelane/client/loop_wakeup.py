"""How a future wakes those who await it: once for all that end together, and a few at a time.

A reply's thread → AWAITING → the event loop.  To wake a loop is a system call, and what wakes up runs before
anything else of the loop does: ten thousand at once would hold it for as long as they all take.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from contextlib import suppress

#: Awaiting tasks that are woken in one turn of their loop: what else is ready runs between two turns.
#: So many replies, too, are delivered before other threads are given way.
AT_ONCE = 16


class Waker:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # it is kept beside its loop, not the loop by it
        self._ended: deque[asyncio.Future[None]] = deque()
        self._is_called = False
        self._calling = threading.Lock()

    def wake(self, waiting: asyncio.Future[None]) -> None:
        """From any thread: end it in its loop."""
        self._ended.append(waiting)
        if self._is_called:
            return
        with self._calling:
            is_first, self._is_called = not self._is_called, True
        loop = self._loop()
        if is_first and loop is not None:
            with suppress(RuntimeError):  # closed: nobody awaits there any more
                loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        for _ in range(AT_ONCE):
            if not self._ended:
                with self._calling:
                    self._is_called = False  # first: who adds one from now on calls again
                    if not self._ended:
                        return
                    self._is_called = True
            waiting = self._ended.popleft()
            if not waiting.done():
                waiting.set_result(None)
        loop = self._loop()
        assert loop is not None, "it runs this"
        loop.call_soon(self._turn)


_wakers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Waker] = weakref.WeakKeyDictionary()


def waker_of(loop: asyncio.AbstractEventLoop) -> Waker:
    """The one that a loop has."""
    return _wakers.get(loop) or _wakers.setdefault(loop, Waker(loop))
