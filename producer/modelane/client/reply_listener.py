"""The receiving half of the client: one subscription, however many requests are in flight.

queue.settle → REPLIES → the futures.  An answer is stored as well as published, so what a broken
subscription missed is found by one MGET of everything that is still pending.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import redis

from modelane.broker.connection import broker_errors
from modelane.client.answer import Progress
from modelane.client.background_thread import OwnThread
from modelane.client.loop_wakeup import AT_ONCE
from modelane.data.tensor import from_wire
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    Expired,
    ModelaneError,
    Revoked,
    Undecodable,
    from_code,
)
from modelane.keys import RESULT_KEY_PREFIX
from modelane.protocol.result import PROGRESS
from modelane.protocol.serializer import loads

logger = logging.getLogger(__name__)

#: Seconds between two looks for stored answers whose publication was missed.
LOOK_S = 1.0
#: Seconds before the next try while Redis does not answer.
RETRY_S = 0.2
#: Results asked for at once; more would hold up other threads.
MAX_KEYS = 128
#: Celery's states of a task that has ended; others come before (STARTED, RETRY).
FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
KNOWN = FINAL | {PROGRESS}


class Reply(msgspec.Struct, gc=False):
    """What a client needs of a result document."""

    task_id: str
    status: str
    result: Any

    @property
    def progress(self) -> Progress | None:
        """How far it has come, if this is no end; what cannot be read is no news either."""
        if self.status in FINAL:
            return None
        said = self.result if isinstance(self.result, dict) else {}
        return Progress(str(said.get("step", "")), str(said.get("detail", "")))

    def error(self) -> ModelaneError | None:
        if self.status == "SUCCESS":
            return None
        failure: Mapping[str, Any] = self.result if isinstance(self.result, dict) else {}
        code = str(failure.get("exc_type", self.status))
        if self.status == "REVOKED" and code != Expired.__name__:  # Celery has an error of its own for it
            code = Revoked.__name__
        said = failure.get("exc_message") or self.status
        return from_code(code, str(said[0] if isinstance(said, list) else said))


_many = msgspec.msgpack.Decoder(list[Reply], ext_hook=from_wire)


class Replies:
    """Reads one client's channel in a thread of its own.

    Args:
        client: connections to Redis.
        channel: the client's own, prefix included.
        prefix: of every key.
        deliver: called with each reply, from the reading thread.
        pending: called every :data:`LOOK_S`; returns the ids that nothing has come for in so many seconds.
        reconnected: called when the channel is heard again after the connection was lost.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        client: redis.Redis,
        channel: str,
        prefix: str,
        *,
        deliver: Callable[[Reply], None],
        pending: Callable[[float], list[str]],
        reconnected: Callable[[], None],
    ) -> None:
        self._redis = client
        self._channel = channel
        self._prefix = prefix
        self._deliver = deliver
        self._pending = pending
        self._reconnected = reconnected
        self._was_lost = False  # the connection, since it was first made or tried
        self._closing = threading.Event()
        self._thread = OwnThread(self._run, "modelane-replies")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Its connection must have been closed, which wakes it up."""
        self._closing.set()
        if self._thread is not threading.current_thread():  # a future's callback may close the client
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with broker_errors(), self._redis.pubsub() as subscription:  # type: ignore[no-untyped-call]  # redis-py's gap
                    self._read(subscription)
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.debug("replies: %s", exc)
            except Exception:
                if not self._closing.is_set():  # its connection may be closed under it
                    logger.exception("replies cannot be read", extra={"event": "replies_failed"})
            self._was_lost = True
            self._closing.wait(RETRY_S)

    def _read(self, subscription: redis.client.PubSub) -> None:
        """Deliver what comes, until the subscription turns out to be deaf: its peer is gone unsaid."""
        subscription.subscribe(self._channel)
        look_at, older_s, heard = 0.0, 0.0, True
        while not self._closing.is_set():
            message = subscription.get_message(timeout=LOOK_S)
            heard = heard or message is not None
            if message is not None and message["type"] == "message":
                self._deliver_all(message["data"])
            elif message is not None:  # subscribed, for the first time or again: answers may have passed
                look_at = older_s = 0.0
                if self._was_lost:
                    self._reconnected()
                self._was_lost = True  # before it is said again
            if time.monotonic() >= look_at:
                if self.look(self._pending(older_s)) and not heard:
                    return
                look_at, older_s, heard = time.monotonic() + LOOK_S, LOOK_S, False

    def look(self, pending: Sequence[str]) -> int:
        """Deliver the stored answers of ``pending``; how many there were.

        Raises:
            BrokerUnavailable: Redis does not answer.
            BrokerRefused: an operator must act.
        """
        n = 0
        for first in range(0, len(pending), MAX_KEYS):
            ids = pending[first : first + MAX_KEYS]
            with broker_errors():
                stored = self._redis.mget([f"{self._prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in ids])
            for id_, data in zip(ids, stored, strict=True):
                if data is not None and (reply := _read(id_, data)).status in KNOWN:
                    n += reply.status in FINAL
                    self._deliver(reply)
        return n

    def _deliver_all(self, published: bytes) -> None:
        """Whoever can write to Redis can write nonsense here; what is lost by it is found stored."""
        try:
            replies = _many.decode(published)
        except Exception as exc:
            logger.warning("a reply cannot be read: %s", exc, extra={"event": "reply_unreadable"})
        else:
            for number, reply in enumerate(replies, start=1):
                self._deliver(reply)
                if number % AT_ONCE == 0:
                    time.sleep(0)  # gives up the GIL: else an event loop waits up to 5 ms for it at each turn


def _read(id_: str, stored: bytes | str) -> Reply:
    """What is stored for a request: in our form, or in JSON, which Celery writes where it answers itself."""
    try:
        return msgspec.convert(loads(stored), Reply)
    except Exception as exc:
        failure = {"exc_type": Undecodable.__name__, "exc_message": f"the answer cannot be read: {exc}"}
        return Reply(id_, "FAILURE", failure)
