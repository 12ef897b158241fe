"""What a client has per process: its channel, the futures that are pending, and the three threads.

submit → WIRES → outbox;  replies → WIRES → the future;  deadlines → WIRES → the futures that are overdue.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import uuid
from collections import deque
from concurrent.futures import Future
from typing import Any, cast

from modelane.broker.connection import connect
from modelane.broker.leased_queue import IdempotencyKey, LeasedQueue
from modelane.broker.request_control import RequestControl
from modelane.client.outbox import Outbox, Outgoing
from modelane.client.pending import Pending
from modelane.client.prediction import Prediction
from modelane.client.reply_listener import Replies, Reply
from modelane.client.timeouts import Deadlines
from modelane.client.unknown_models import Unserved
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ClientClosed,
    ModelaneError,
    Revoked,
    TimedOut,
    Undecodable,
)
from modelane.keys import REPLY_CHANNEL_PREFIX, QueueKeys
from modelane.settings import Settings

logger = logging.getLogger(__name__)

#: Ids that are drawn at once.  Each system call hands the GIL to a waiting thread, and the submitting one
#: then waits up to five milliseconds to get it back.
_IDS_AT_ONCE = 256

#: Ids in one word to Redis.
_ERRANDS_AT_ONCE = 500
#: Seconds that a thread may take to end; it is woken up, and has nothing left to do.
JOIN_S = 1.0


class Wires:
    """Made anew in a forked child: threads and sockets do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self.origin = f"{os.getpid()}@{socket.gethostname()}"
        self.channel = REPLY_CHANNEL_PREFIX + uuid.uuid4().hex
        self._ids: deque[str] = deque()
        self._pending = Pending()
        self._queues: dict[str, LeasedQueue] = {}
        self._prefix = settings.prefix
        self._deadlines = Deadlines(self._end_overdue)
        self._to_attach: deque[Prediction[Any]] = deque()
        self._to_revoke: deque[Prediction[Any]] = deque()
        self._outbox = Outbox(
            self._queue,
            max_depth=settings.max_depth,
            on_known=self._attach_known,
            errands=self._do_errands,
        )
        self._connect(settings)
        # One of each for all futures: a bound method is an object.
        self._on_end, self._on_cancel = self._forget, self._revoke
        self._deadlines.start()
        self._replies.start()
        self._outbox.start()

    def _connect(self, settings: Settings) -> None:
        """What lies on Redis: with :meth:`_queue` and :meth:`_disconnect` all that a fake has to replace."""
        self._redis = connect(settings)
        channel = settings.prefix + self.channel
        self._unserved = Unserved(self._redis, settings.prefix)
        self._requests = RequestControl(self._redis, settings.prefix)
        self._replies = Replies(
            self._redis,
            channel,
            settings.prefix,
            deliver=self._deliver,
            pending=self._look_over,
            reconnected=self._outbox.put_again,
        )

    def _disconnect(self) -> None:
        self._redis.close()

    def new_id(self) -> str:
        """Random, and so nobody's to guess; safe to call from many threads."""
        try:
            return self._ids.pop()
        except IndexError:
            drawn = os.urandom(16 * _IDS_AT_ONCE).hex()
            first, *others = (drawn[at : at + 32] for at in range(0, len(drawn), 32))
            self._ids.extend(others)
            return first

    def send(
        self,
        prediction: Prediction[Any],
        queue: str,
        priority: int,
        message: bytes,
        idempotency_key: IdempotencyKey | None = None,
    ) -> None:
        """Raises what :meth:`modelane.client.outbox.Outbox.add` raises; the prediction is nobody's then."""
        prediction.revoke = self._on_cancel
        prediction.queue = queue
        self._pending.add(prediction)
        try:
            self._outbox.add(Outgoing(queue, priority, message, prediction, idempotency_key))
        except ModelaneError:
            self._pending.remove(prediction)
            raise
        self._heed(prediction)

    def attach(self, prediction: Prediction[Any]) -> None:
        """Have it wait for a request that somebody else has sent."""
        prediction.revoke = self._on_cancel
        prediction.sent = True  # by whomever
        self._pending.add(prediction)
        self._heed(prediction)
        self._to_attach.append(prediction)
        self._outbox.ring()

    def flush(self, timeout_s: float) -> None:
        """Raises :class:`BrokerUnavailable`: Redis has not taken all that was sent so far."""
        if left := self._outbox.flush(timeout_s):
            raise BrokerUnavailable(
                f"Redis has not taken {left} of the requests within {timeout_s:g} s: {self._trouble()}"
            )

    def close(self, timeout_s: float) -> None:
        self._outbox.close(timeout_s)
        self._disconnect()  # wakes the threads up, which need not wait for what comes
        self._replies.close(JOIN_S)
        self._outbox.join(JOIN_S)
        self._deadlines.close()
        for prediction in self._pending.all():
            prediction.end(error=ClientClosed("the client was closed before the answer came"))
        self._disconnect()

    def leave_behind(self) -> None:
        """In a forked child: threads and answers stayed in the parent."""
        for prediction in self._pending.all():
            prediction.leave_behind()

    def _queue(self, name: str) -> LeasedQueue:
        if name not in self._queues:
            self._queues[name] = LeasedQueue(self._redis, QueueKeys(name, self._prefix))
        return self._queues[name]

    def _revoke(self, cancelled: Prediction[Any]) -> None:
        """From any thread; unless another future of this client waits for the same request."""
        if not self._pending.waiting_for(cancelled.id):
            self._to_revoke.append(cancelled)
            self._outbox.ring()

    def _look_over(self, older_s: float) -> list[str]:
        """In the replies' thread, now and then: what has waited so long for an answer."""
        pending = self._pending.all()
        try:
            self._unserved.look(pending)
        except BrokerRefused as exc:  # then nobody says so; answers are looked for all the same
            logger.warning("who serves which model cannot be asked: %s", exc, extra={"event": "refused"})
        before_s = time.monotonic() - older_s
        return list({prediction.id: None for prediction in pending if prediction.began_s <= before_s})

    def _attach_known(self, ids: list[str]) -> None:
        self._to_attach.extend(p for id_ in ids for p in self._pending.waiting_for(id_))
        self._outbox.ring()

    def _do_errands(self) -> None:
        """In the outbox's thread alone.  What Redis has not taken stays, to be said again."""
        for waiting, say in ((self._to_revoke, self._say_revoked), (self._to_attach, self._say_attached)):
            # By place: others append meanwhile, which an iterator does not survive.
            while those := [waiting[n] for n in range(min(len(waiting), _ERRANDS_AT_ONCE))]:
                try:
                    say(those)
                except BrokerRefused as exc:  # saying it again cannot help, and others wait behind it
                    logger.warning("%d errands are dropped: %s", len(those), exc, extra={"event": "refused"})
                for _ in those:
                    waiting.popleft()

    def _say_revoked(self, predictions: list[Prediction[Any]]) -> None:
        """Those that Redis does not have, too, for whoever attaches; not if their id may come again."""
        if ids := [p.id for p in predictions if p.sent or p.tried or not p.is_shared]:
            self._requests.revoke(ids)

    def _say_attached(self, predictions: list[Prediction[Any]]) -> None:
        wanted = [p for p in predictions if not p.done()]
        if wanted:
            ids = list({p.id for p in wanted})
            left_s = max(p.deadline_s for p in wanted) - time.monotonic()
            revoked = self._requests.attach(
                ids, channel=self._prefix + self.channel, timeout_s=max(left_s, 1.0)
            )
            self._replies.look(ids)  # it may have been answered before
            for prediction in wanted:
                if prediction.id in revoked and not prediction.queue:  # others' requests
                    prediction.end(error=Revoked("somebody cancelled it before it was answered"))

    def _trouble(self) -> str:
        return str(self._outbox.trouble or "it has not answered yet")

    def _forget(self, ended: Future[Any]) -> None:
        self._pending.remove(cast("Prediction[Any]", ended))

    def _heed(self, prediction: Prediction[Any]) -> None:
        prediction.add_done_callback(self._on_end)
        self._deadlines.heed(prediction.deadline_s)

    def _deliver(self, reply: Reply) -> None:
        for prediction in self._pending.waiting_for(reply.task_id):  # nobody: answered already, or given up
            if not prediction.is_ignored:
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
    except ModelaneError as error:
        prediction.end(error=error)
    except Exception as exc:  # whoever can write to Redis can write anything
        prediction.end(error=Undecodable(f"the answer cannot be read: {exc!r}"))
    else:
        prediction.end(value)
