"""What a client has per process: its channel, the futures that are pending, and the three threads.

submit → WIRES → outbox;  replies → WIRES → the future;  deadlines → WIRES → the futures that are overdue.
"""

from __future__ import annotations

import math
import os
import socket
import time
import uuid
from collections import deque
from concurrent.futures import Future
from typing import Any, cast

from modelane.connection import connect
from modelane.deadlines import Deadlines
from modelane.errors import BrokerUnavailable, ClientClosed, ModelaneError, TimedOut, Undecodable
from modelane.keys import REPLY_CHANNEL_PREFIX, QueueKeys
from modelane.outbox import Outbox, Outgoing
from modelane.pending import Pending
from modelane.prediction import Prediction
from modelane.queue import LeasedQueue
from modelane.replies import Replies, Reply
from modelane.settings import Settings

#: Ids that are drawn at once.  Each system call hands the GIL to a waiting thread, and the submitting one
#: then waits up to five milliseconds to get it back.
_IDS_AT_ONCE = 256


class Wires:
    """Made anew in a forked child: threads and sockets do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self.origin = f"{os.getpid()}@{socket.gethostname()}"
        self.channel = REPLY_CHANNEL_PREFIX + uuid.uuid4().hex
        self._ids: deque[str] = deque()
        self._pending = Pending()
        self._queues: dict[str, LeasedQueue] = {}
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._deadlines = Deadlines(self._end_overdue)
        self._outbox = Outbox(self._queue, max_depth=settings.max_depth)
        self._replies = Replies(
            self._redis,
            settings.prefix + self.channel,
            settings.prefix,
            deliver=self._deliver,
            pending=self._pending.ids,
            reconnected=self._outbox.put_again,
        )
        self._deadlines.start()
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
        """Raises what :meth:`modelane.outbox.Outbox.add` raises; the prediction is nobody's then."""
        self._pending.add(prediction)
        try:
            self._outbox.add(Outgoing(queue, priority, message, prediction))
        except ModelaneError:
            self._pending.remove(prediction)
            raise
        self._heed(prediction)

    def attach(self, prediction: Prediction[Any]) -> None:
        """Have it wait for a request that somebody else has sent."""
        self._pending.add(prediction)
        self._heed(prediction)

    def flush(self, timeout_s: float) -> None:
        """Raises :class:`BrokerUnavailable`: Redis has not taken all that was sent so far."""
        if left := self._outbox.flush(timeout_s):
            raise BrokerUnavailable(
                f"Redis has not taken {left} of the requests within {timeout_s:g} s: {self._trouble()}"
            )

    def close(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        self._outbox.close(timeout_s)
        self._replies.close(max(0.0, until_s - time.monotonic()))
        self._deadlines.close()
        for prediction in self._pending.all():
            prediction.end(error=ClientClosed("the client was closed before the answer came"))
        self._redis.close()

    def leave_behind(self) -> None:
        """In a forked child: threads and answers stayed in the parent."""
        for prediction in self._pending.all():
            prediction.leave_behind()

    def _queue(self, name: str) -> LeasedQueue:
        if name not in self._queues:
            self._queues[name] = LeasedQueue(self._redis, QueueKeys(name, self._prefix))
        return self._queues[name]

    def _trouble(self) -> str:
        return str(self._outbox.trouble or "it has not answered yet")

    def _forget(self, ended: Future[Any]) -> None:
        self._pending.remove(cast("Prediction[Any]", ended))

    def _heed(self, prediction: Prediction[Any]) -> None:
        prediction.add_done_callback(self._forget)
        self._deadlines.heed(prediction.deadline_s)

    def _deliver(self, reply: Reply) -> None:
        for prediction in self._pending.waiting_for(reply.task_id):  # nobody: answered already, or given up
            _tell(prediction, reply)

    def _end_overdue(self) -> float:
        """End those whose deadline has passed; the soonest deadline of the others."""
        now_s, soonest_s = time.monotonic(), math.inf
        for prediction in self._pending.all():
            if prediction.deadline_s > now_s:
                soonest_s = min(soonest_s, prediction.deadline_s)
            elif prediction.sent:
                prediction.end(error=TimedOut(prediction.late))
            else:
                prediction.end(
                    error=BrokerUnavailable(f"the request was not taken in time: {self._trouble()}")
                )
        return soonest_s


def _tell(prediction: Prediction[Any], reply: Reply) -> None:
    if (progress := reply.progress) is not None:
        prediction.tell(progress)
        return
    if (error := reply.error()) is not None:
        prediction.end(error=error)
        return
    try:
        value = prediction.read(reply.result)
    except Exception as exc:  # whoever can write to Redis can write anything
        prediction.end(error=Undecodable(f"the answer cannot be read: {exc!r}"))
    else:
        prediction.end(value)
