"""What a client has in one process: an identity, pending futures, connections and threads.

A request goes from here through the outbox to Redis; its answer comes back through the reply listener to the
pending futures. Timeouts fail the futures that get no answer.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from modelane.broker.lease import IdempotencyKey
from modelane.client.prediction import Prediction
from modelane.client.transport.backlog import Outgoing
from modelane.client.transport.control_queue import ControlQueue
from modelane.client.transport.outbox import Outbox
from modelane.client.transport.pending import Pending
from modelane.client.transport.redis_link import RedisLink
from modelane.client.transport.reply_listener import ReplyListener
from modelane.client.transport.timeouts import Timeouts
from modelane.client.transport.unknown_models import UnknownModels
from modelane.errors import ClientClosed, ModelaneError, TooLarge
from modelane.keys import REPLY_CHANNEL_PREFIX
from modelane.protocol.message import write_message
from modelane.protocol.result import write_placeholder
from modelane.settings import Settings

#: Ids that are generated together. A system call hands the GIL to a waiting thread, and the submitting thread
#: then waits up to five milliseconds to get it back.
_IDS_PER_CALL = 256

#: Seconds that a thread may take to end; it is woken up and has nothing left to do.
_JOIN_S = 1.0


class Session:
    """One client in one process.

    A forked child needs a new one, because threads and sockets do not survive a fork.

    Args:
        settings: the broker's URL, the prefix of its keys, and limits.
        connect: opens the link to Redis, given the settings and the reply channel.
    """

    def __init__(self, settings: Settings, connect: Callable[[Settings, str], RedisLink] = RedisLink) -> None:
        self._settings = settings
        self._origin = f"{os.getpid()}@{socket.gethostname()}"
        self._channel = REPLY_CHANNEL_PREFIX + uuid.uuid4().hex
        self._ids: deque[str] = deque()
        self._pending = Pending()
        self._link = connect(settings, self._channel)
        control = ControlQueue(self._link.requests, self._pending, self._link.channel)
        self._outbox = Outbox(self._link.queue, control, max_depth=settings.max_depth)
        self._listener = ReplyListener(
            self._link, self._pending, UnknownModels(self._link.requests), on_reconnect=self._outbox.resend
        )
        self._timeouts = Timeouts(self._pending, self._outbox)
        self._on_cancel = self._outbox.revoke  # one bound method for all futures
        self._timeouts.start()
        self._listener.start()
        self._outbox.start()

    def new_id(self) -> str:
        """Return a random request id, which nobody can guess; thread-safe."""
        try:
            return self._ids.pop()
        except IndexError:
            digits = os.urandom(16 * _IDS_PER_CALL).hex()
            first, *others = (digits[at : at + 32] for at in range(0, len(digits), 32))
            self._ids.extend(others)
            return first

    def send(  # noqa: PLR0913  the parts of a message
        self,
        prediction: Prediction[Any],
        *,
        task: str,
        queue: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        rows: int,
        argsrepr: str,
        priority: int = 0,
        ttl_s: float | None = None,
    ) -> None:
        """Send a request; never blocks.

        Args:
            prediction: future that completes with the answer.
            task: Celery task name.
            queue: lane.
            args: arguments of the task.
            kwargs: keyword arguments of the task.
            rows: number of rows in the request.
            argsrepr: what Flower shows of the arguments.
            priority: 0 to 9.
            ttl_s: seconds after which no worker may start the request; None for no limit.

        Raises:
            BadInput: an argument is of a type that cannot be sent.
            TooLarge: the message is longer than ``MODELANE_MAX_REQUEST_BYTES``.
            TryLater: too many requests wait to be sent already.
            ClientClosed: the client is closed.
        """
        now_s = time.time()
        message = write_message(
            id=prediction.id,
            task=task,
            queue=queue,
            args=args,
            kwargs=kwargs,
            rows=rows,
            argsrepr=argsrepr,
            reply_to=self._channel,
            sent_s=now_s,
            origin=self._origin,
            priority=priority,
            expires_s=None if ttl_s is None else now_s + ttl_s,
            ignore_result=prediction.is_ignored,
        )
        if len(message) > self._settings.max_request_bytes:
            raise TooLarge(
                f"the request takes {len(message)} bytes, but MODELANE_MAX_REQUEST_BYTES allows "
                f"{self._settings.max_request_bytes}: send fewer rows per request"
            )
        key: IdempotencyKey | None = None
        if prediction.is_shared and ttl_s is not None:
            # A worker may start it until its ttl has passed, and then computes for at most predict_limit_s.
            key = IdempotencyKey(
                prediction.id,
                write_placeholder(prediction.id, is_ignored=prediction.is_ignored),
                ttl_s + self._settings.predict_limit_s,
            )
        self.put(Outgoing(queue, priority, message, prediction, key))

    def put(self, outgoing: Outgoing) -> None:
        """Hand a message over to the outbox; its future is pending from now on.

        Raises:
            TryLater: too many requests wait to be sent already.
            ClientClosed: the client is closed.
        """
        outgoing.prediction.queue = outgoing.queue
        self._wait_for(outgoing.prediction)
        try:
            self._outbox.add(outgoing)
        except ModelaneError:
            self._pending.remove(outgoing.prediction)
            raise

    def attach(self, prediction: Prediction[Any]) -> None:
        """Have a future wait for a request that was sent by another client; never blocks."""
        prediction.sent = True  # by another client
        self._wait_for(prediction)
        self._outbox.attach(prediction)

    def flush(self, timeout_s: float) -> None:
        """Wait until Redis has accepted or refused all requests that were sent so far.

        Raises:
            BrokerUnavailable: it has not within ``timeout_s``.
        """
        self._outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send what waits for at most ``timeout_s``, end all threads, and fail the pending futures."""
        self._outbox.close(timeout_s)
        self._link.close()  # wakes the threads
        self._listener.close(_JOIN_S)
        self._outbox.join(_JOIN_S)
        self._timeouts.close()
        for prediction in self._pending.all():
            prediction.fail(ClientClosed("the client was closed before the answer arrived"))
        self._link.close()  # connections that were opened in the meantime

    def abandon_after_fork(self) -> None:
        """In a forked child: fail the futures, whose answers arrive in the parent."""
        for prediction in self._pending.all():
            prediction.abandon_after_fork()

    def _wait_for(self, prediction: Prediction[Any]) -> None:
        prediction.revoke = self._on_cancel
        self._pending.add(prediction)
        self._timeouts.watch(prediction.deadline_s)
