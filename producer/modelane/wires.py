"""What a client has per process: its channel, the futures that are pending, and the two threads.

submit → WIRES → outbox;  replies → WIRES → the future.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections import deque
from typing import Any

from modelane.connection import connect
from modelane.errors import ModelaneError, TimedOut
from modelane.keys import REPLY_CHANNEL_PREFIX, QueueKeys
from modelane.outbox import Outbox, Outgoing
from modelane.prediction import Prediction
from modelane.queue import LeasedQueue
from modelane.replies import Replies, Reply
from modelane.settings import Settings

#: Requests that may wait to be sent while Redis is away.
MAX_WAITING = 100_000

#: Ids that are drawn at once.  Each system call hands the GIL to a waiting thread, and the submitting one
#: then waits up to five milliseconds to get it back.
_IDS_AT_ONCE = 256


class Wires:
    """Made anew in a forked child: threads and sockets do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.origin = f"{self.pid}@{socket.gethostname()}"
        self.channel = REPLY_CHANNEL_PREFIX + uuid.uuid4().hex
        self._ids: deque[str] = deque()
        self._pending: dict[str, Prediction[Any]] = {}
        self._queues: dict[str, LeasedQueue] = {}
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._outbox = Outbox(self._queue, max_depth=settings.max_depth, max_waiting=MAX_WAITING)
        self._replies = Replies(
            self._redis,
            settings.prefix + self.channel,
            settings.prefix,
            deliver=self._deliver,
            overdue=self._overdue,
        )
        self._replies.start()
        self._outbox.start()

    def new_id(self) -> str:
        """Random, and so nobody's to guess; safe to call from many threads."""
        try:
            return self._ids.pop()
        except IndexError:
            drawn = os.urandom(16 * _IDS_AT_ONCE).hex()
            first, *others = (drawn[at : at + 32] for at in range(0, len(drawn), 32))
            self._ids.extend(others)
            return first

    def send(self, prediction: Prediction[Any], queue: str, priority: int, message: bytes) -> None:
        self._pending[prediction.id] = prediction
        try:
            self._outbox.add(Outgoing(queue, priority, message, prediction))
        except ModelaneError:
            self._pending.pop(prediction.id, None)
            raise

    def close(self, timeout_s: float) -> None:
        self._outbox.close(timeout_s)
        self._replies.close(timeout_s)
        for prediction in list(self._pending.values()):
            prediction.end(error=TimedOut("the client was closed before the answer came"))
        self._redis.close()

    def _queue(self, name: str) -> LeasedQueue:
        if name not in self._queues:
            self._queues[name] = LeasedQueue(self._redis, QueueKeys(name, self._prefix))
        return self._queues[name]

    def _deliver(self, reply: Reply) -> None:
        prediction = self._pending.pop(reply.task_id, None)
        if prediction is None:
            return  # answered already, or given up
        error = reply.error()
        if error is not None:
            prediction.end(error=error)
        else:
            prediction.end(prediction.read(reply.result))

    def _overdue(self) -> list[str]:
        """Ids that are still pending, after ending those whose deadline has passed."""
        now_s = time.monotonic()
        for prediction in list(self._pending.values()):
            if prediction.deadline_s < now_s:
                prediction.end(error=TimedOut("no answer came in time; is a worker serving this model?"))
            if prediction.done():  # now, or cancelled by its owner, or refused by the queue
                self._pending.pop(prediction.id, None)
        return list(self._pending)
