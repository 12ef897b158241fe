"""Messages that wait in this process until the outbox has sent them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import msgspec

from modelane.broker.lease import IdempotencyKey
from modelane.client.prediction import Prediction
from modelane.errors import ClientClosed, TryLater

#: Messages and bytes in one put: few enough to block neither Redis nor, while they are written, the threads
#: that submit.
MAX_MESSAGES = 128
MAX_BYTES = 8 * 2**20

#: Messages and bytes that may wait here while Redis is unavailable. They cost memory in every service that
#: sends, and callers time out before a longer backlog could be sent.
MAX_WAITING = 100_000
MAX_WAITING_BYTES = 256 * 2**20


class Outgoing(msgspec.Struct, gc=False):
    """A message to be sent, and the future that waits for its answer."""

    queue: str
    priority: int
    message: bytes
    prediction: Prediction[Any]
    idempotency_key: IdempotencyKey | None = None  #: if the caller chose the id

    @property
    def destination(self) -> tuple[str, int, bool]:
        """What all messages of one put have in common."""
        return self.queue, self.priority, self.idempotency_key is None


class Backlog:
    """A queue from the threads that submit to the outbox's thread; the former never wait for the latter.

    Attributes:
        progress: notified when messages were sent or refused.
    """

    def __init__(self) -> None:
        self.progress = threading.Condition()
        self._waiting: deque[Outgoing] = deque()
        self._sending: list[Outgoing] = []
        self._adding = threading.Lock()  # among the threads that submit; the outbox's thread never takes it
        self._is_closed = False
        # Totals since the start: the submitting threads count what was added, the outbox's thread the rest.
        self._added = self._added_bytes = 0
        self._finished = self._finished_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    @property
    def is_wanted(self) -> bool:
        """Whether a future still waits for a message here to be sent."""
        return any(not outgoing.prediction.done() for outgoing in (*self._sending, *self._waiting))

    def add(self, outgoing: Outgoing) -> None:
        """Append a message; never blocks.

        Raises:
            TryLater: the backlog is full.
            ClientClosed: after :meth:`close`.
        """
        size = len(outgoing.message)
        with self._adding:
            if self._is_closed:
                raise ClientClosed("the client is closed: create a new one")
            n, n_bytes = self._added - self._finished, self._added_bytes - self._finished_bytes
            if n >= MAX_WAITING or (n and n_bytes + size > MAX_WAITING_BYTES):
                raise TryLater(
                    f"{n} requests ({n_bytes} bytes) are waiting to be sent, because Redis is unavailable "
                    "or too slow: try again later"
                )
            self._waiting.append(outgoing)
            self._added += 1
            self._added_bytes += size

    def take(self) -> list[Outgoing]:
        """Remove the longest run of messages for one put; empty if none waits."""
        run: list[Outgoing] = []
        size = 0
        while self._waiting and len(run) < MAX_MESSAGES:
            following = self._waiting[0]
            size += len(following.message)
            if run and (size > MAX_BYTES or following.destination != run[0].destination):
                break
            run.append(self._waiting.popleft())
        self._sending = run
        return run

    def finish(self) -> None:
        """Count the messages of the last :meth:`take` as sent or refused."""
        with self.progress:
            run, self._sending = self._sending, []
            self._finished += len(run)
            self._finished_bytes += n_bytes(run)
            self.progress.notify_all()

    def flush(self, timeout_s: float) -> int:
        """Wait until all messages that were added so far are sent or refused; return how many are left."""
        added = self._added
        with self.progress:
            self.progress.wait_for(lambda: self._finished >= added, timeout_s)
            return max(0, added - self._finished)

    def close(self) -> None:
        """Accept no more messages."""
        with self._adding:
            self._is_closed = True


def n_bytes(run: list[Outgoing]) -> int:
    """Return the size of messages."""
    return sum(len(outgoing.message) for outgoing in run)
