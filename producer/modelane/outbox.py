"""The sending half of the client: what has gathered goes out in one put per lane, from a thread of its own.

submit → OUTBOX → queue.put.  Nobody who submits ever waits for the network.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from modelane.errors import BrokerUnavailable, ModelaneError, TryLater
from modelane.queue import LeasedQueue

#: Messages and bytes in one put: enough to fill a batch, small enough not to hold up Redis.
MAX_MESSAGES = 512
MAX_BYTES = 8 * 2**20

#: Seconds between two tries while Redis does not answer.
RETRY_S = 0.2


class Sender(Protocol):
    """Who is told if a message cannot be sent."""

    def done(self) -> bool:
        """Whether the message is no longer wanted."""
        ...

    def end(self, *, error: ModelaneError) -> None: ...


class Outgoing(msgspec.Struct, gc=False):
    """A message on its way."""

    queue: str
    priority: int
    message: bytes
    sender: Sender


class Outbox:
    """Sends in the order of submission, per queue and priority.

    Args:
        open_queue: gives the leased queue of a name.
        max_depth: messages that may wait in a lane.
        max_waiting: messages that may wait here while Redis is away.
    """

    def __init__(self, open_queue: Callable[[str], LeasedQueue], *, max_depth: int, max_waiting: int) -> None:
        self._open_queue = open_queue
        self._max_depth = max_depth
        self._max_waiting = max_waiting
        self._waiting: deque[Outgoing] = deque()
        self._ring = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, outgoing: Outgoing) -> None:
        """Raises :class:`TryLater` when too much waits already; never blocks."""
        if len(self._waiting) >= self._max_waiting:
            raise TryLater(
                f"{len(self._waiting)} requests wait to be sent; Redis is away or too slow: back off"
            )
        self._waiting.append(outgoing)
        self._ring.set()

    def close(self, timeout_s: float) -> None:
        """Send what waits, for at most ``timeout_s``."""
        self._closing.set()
        self._ring.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._ring.wait()
            self._ring.clear()
            while self._waiting:
                self._send(self._next())
            if self._closing.is_set():
                return

    def _next(self) -> list[Outgoing]:
        """The longest run of messages for one list, within the limits of a put."""
        run = [self._waiting.popleft()]
        size = len(run[0].message)
        while self._waiting and len(run) < MAX_MESSAGES:
            following = self._waiting[0]
            size += len(following.message)
            if size > MAX_BYTES or (following.queue, following.priority) != (
                run[0].queue,
                run[0].priority,
            ):
                break
            run.append(self._waiting.popleft())
        return run

    def _send(self, run: list[Outgoing]) -> None:
        token = os.urandom(9).hex()  # the same for every try: a repeat puts nothing twice
        while run:
            try:
                self._open_queue(run[0].queue).put(
                    [outgoing.message for outgoing in run],
                    max_depth=self._max_depth,
                    priority=run[0].priority,
                    token=token,
                )
            except BrokerUnavailable as exc:
                if self._closing.wait(RETRY_S) or all(o.sender.done() for o in run):
                    _refuse(run, exc)
                    return
            except ModelaneError as exc:
                _refuse(run, exc)
                return
            else:
                return


def _refuse(run: list[Outgoing], error: ModelaneError) -> None:
    for outgoing in run:
        outgoing.sender.end(error=error)
