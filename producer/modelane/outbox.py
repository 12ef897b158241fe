"""The sending half of the client: what has gathered goes out in one put per lane, from a thread of its own.

submit → OUTBOX → queue.put.  Nobody who submits ever waits for the network.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from modelane.errors import BrokerUnavailable, ClientClosed, ModelaneError, QueueFull, TryLater
from modelane.queue import LeasedQueue

logger = logging.getLogger(__name__)

#: Messages and bytes in one put: enough to fill a batch, small enough not to hold up Redis.
MAX_MESSAGES = 512
MAX_BYTES = 8 * 2**20

#: Messages and bytes that may wait here while Redis is away.  Every service that sends pays for them in
#: memory; more than this is a backlog that nobody waits for any more.
MAX_WAITING = 100_000
MAX_WAITING_BYTES = 256 * 2**20

#: Seconds between two tries while Redis does not answer.
RETRY_S = 0.2


class Sender(Protocol):
    """Who is told what became of a message."""

    sent: bool

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

    Attributes:
        trouble: why Redis does not take anything now; None if it does.
    """

    def __init__(self, open_queue: Callable[[str], LeasedQueue], *, max_depth: int) -> None:
        self.trouble: BrokerUnavailable | None = None
        self._open_queue = open_queue
        self._max_depth = max_depth
        self._waiting: deque[Outgoing] = deque()
        self._changed = threading.Condition()  # guards the three counts
        self._added = self._finished = 0  # messages, since the beginning
        self._bytes = 0  # of those that are added but not finished
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, outgoing: Outgoing) -> None:
        """Never blocks.

        Raises:
            TryLater: too much waits already.
            ClientClosed: nothing is sent any more.
        """
        size = len(outgoing.message)
        with self._changed:
            if self._closing.is_set():
                raise ClientClosed("the client is closed: make a new one")
            n = self._added - self._finished
            if n >= MAX_WAITING or (n and self._bytes + size > MAX_WAITING_BYTES):
                raise TryLater(
                    f"{n} requests of {self._bytes} bytes wait to be sent; "
                    "Redis is away or too slow: back off"
                )
            self._waiting.append(outgoing)
            self._added += 1
            self._bytes += size
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> int:
        """Wait until Redis has taken or refused all that was added so far; how many are left."""
        with self._changed:
            added = self._added
            self._changed.wait_for(lambda: self._finished >= added, timeout_s)
            return max(0, added - self._finished)

    def close(self, timeout_s: float) -> None:
        """Take nothing more; send what waits, for at most ``timeout_s``."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():  # a future's callback may close the client
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while run := self._next():
            try:
                self._send(run)
            except Exception as exc:
                logger.exception("%d requests cannot be sent", len(run), extra={"event": "send_failed"})
                _refuse(run, ModelaneError(f"the request cannot be sent: {exc!r}"))
            with self._changed:
                self._finished += len(run)
                self._bytes -= sum(len(outgoing.message) for outgoing in run)
                self._changed.notify_all()

    def _next(self) -> list[Outgoing]:
        """Wait for the longest run of messages for one list, within the limits of a put; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
        run: list[Outgoing] = []
        size = 0
        while self._waiting and len(run) < MAX_MESSAGES:
            following = self._waiting[0]
            size += len(following.message)
            if run and (
                size > MAX_BYTES or (following.queue, following.priority) != (run[0].queue, run[0].priority)
            ):
                break
            run.append(self._waiting.popleft())
        return run

    def _send(self, run: list[Outgoing]) -> None:
        """Put a run; if not all of it fits into the lane, what does."""
        token = os.urandom(9).hex()  # the same for every try: a repeat puts nothing twice
        while run := [outgoing for outgoing in run if not outgoing.sender.done()]:
            try:
                self._open_queue(run[0].queue).put(
                    [outgoing.message for outgoing in run],
                    max_depth=self._max_depth,
                    priority=run[0].priority,
                    token=token,
                )
            except QueueFull as full:
                self.trouble = None
                room = full.limit - full.depth
                if room <= 0:
                    return _refuse(run, full)
                self._send(run[:room])
                run = run[room:]
            except BrokerUnavailable as exc:
                self.trouble = exc
                if self._closing.wait(RETRY_S):
                    return _refuse(run, exc)
            except ModelaneError as exc:
                return _refuse(run, exc)
            else:
                self.trouble = None
                for outgoing in run:
                    outgoing.sender.sent = True
                return None
        return None


def _refuse(run: list[Outgoing], error: ModelaneError) -> None:
    for outgoing in run:
        outgoing.sender.end(error=error)
