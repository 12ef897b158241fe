"""How a completed future wakes the asyncio tasks that await it.

Waking an event loop from another thread is a system call, and all tasks that are woken run before anything
else in the loop. So one call wakes the loop for all futures that complete together, and the loop resumes a
few tasks per iteration: ten thousand in one iteration would block it until all of them have run.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from contextlib import suppress

#: Awaiting tasks that are resumed in one iteration of their event loop; other callbacks run between two
#: iterations. The reply listener lets other threads run after as many replies.
TASKS_PER_ITERATION = 16


class LoopWakeup:
    """Resumes the tasks of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(
            loop
        )  # stored in a dictionary keyed by the loop, so it must not keep it alive
        self._completed: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False
        self._scheduling = threading.Lock()

    def wake(self, waiting: asyncio.Future[None]) -> None:
        """Complete ``waiting`` in its loop; thread-safe."""
        self._completed.append(waiting)
        if self._is_scheduled:
            return
        with self._scheduling:
            is_first, self._is_scheduled = not self._is_scheduled, True
        loop = self._loop()
        if is_first and loop is not None:
            with suppress(RuntimeError):  # the loop is closed: no task awaits anything there any more
                loop.call_soon_threadsafe(self._run_iteration)

    def _run_iteration(self) -> None:
        for _ in range(TASKS_PER_ITERATION):
            if not self._completed:
                with self._scheduling:
                    self._is_scheduled = False  # before the second look: a later `wake` schedules again
                    if not self._completed:
                        return
                    self._is_scheduled = True
            waiting = self._completed.popleft()
            if not waiting.done():
                waiting.set_result(None)
        loop = self._loop()
        assert loop is not None, "it runs this method"
        loop.call_soon(self._run_iteration)


_wakeups: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWakeup] = weakref.WeakKeyDictionary()


def wakeup_of(loop: asyncio.AbstractEventLoop) -> LoopWakeup:
    """Return the wake-up object of a loop; created on first use."""
    return _wakeups.get(loop) or _wakeups.setdefault(loop, LoopWakeup(loop))
