"""The receiving half of the client: one subscription, however many requests are in flight.

Answers are stored as well as published, so what a broken subscription missed is fetched for all pending
requests together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from modelane.client.background_thread import BackgroundThread
from modelane.client.loop_wakeup import TASKS_PER_ITERATION
from modelane.client.prediction import Prediction
from modelane.client.transport.pending import Pending
from modelane.client.transport.redis_link import RedisLink, Subscription
from modelane.client.transport.reply import FINAL, read_published, read_stored
from modelane.client.transport.unknown_models import UnknownModels
from modelane.errors import BrokerRefused, BrokerUnavailable

logger = logging.getLogger(__name__)

#: Seconds between two checks of all pending requests.
CHECK_S = 1.0
#: Seconds until the next attempt while Redis does not answer.
RETRY_S = 0.2


class ReplyListener:
    """Reads one client's reply channel in a thread of its own, and delivers replies to the pending futures.

    Args:
        link: the channel, and stored results.
        pending: the client's futures.
        unknown_models: checked together with the stored results.
        on_reconnect: called when the channel is subscribed again after the connection was lost.
    """

    def __init__(
        self,
        link: RedisLink,
        pending: Pending,
        unknown_models: UnknownModels,
        on_reconnect: Callable[[], None],
    ) -> None:
        self._link = link
        self._pending = pending
        self._unknown_models = unknown_models
        self._on_reconnect = on_reconnect
        self._was_connected = False  # or has failed to connect: the next subscription is another one
        self._closing = threading.Event()
        self._thread = BackgroundThread(self._run, "modelane-replies")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Wait for the thread to end; the link must be closed before, which wakes the thread."""
        self._closing.set()
        if self._thread is not threading.current_thread():  # a future's callback may close the client
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with self._link.subscription() as subscription:
                    self._read(subscription)
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.debug("the reply channel cannot be read: %s", exc)
            except Exception:
                if not self._closing.is_set():  # closing the connection may fail in any way here
                    logger.exception("reading the reply channel failed", extra={"event": "replies_failed"})
            self._was_connected = True
            self._closing.wait(RETRY_S)

    def _read(self, subscription: Subscription) -> None:
        """Deliver replies until the subscription turns out to be a half-open connection."""
        check_at_s, min_age_s, has_received = 0.0, 0.0, True
        while not self._closing.is_set():
            message = subscription.get_message(timeout=CHECK_S)
            has_received = has_received or message is not None
            if message is not None and message["type"] == "message":
                self._deliver(message["data"])
            elif message is not None:  # subscribed, perhaps again: answers may have been published before
                check_at_s = min_age_s = 0.0
                if self._was_connected:
                    self._on_reconnect()
                self._was_connected = True
            if time.monotonic() >= check_at_s:
                if self._check_pending(min_age_s) and not has_received:
                    return
                check_at_s, min_age_s, has_received = time.monotonic() + CHECK_S, CHECK_S, False

    def _check_pending(self, min_age_s: float) -> int:
        """Deliver stored answers to futures that have waited for ``min_age_s``; return how many.

        Raises:
            BrokerUnavailable: Redis does not answer.
            BrokerRefused: Redis does not allow it.
        """
        pending = self._pending.all()
        try:
            self._unknown_models.check(pending)
        except BrokerRefused as exc:  # stored answers can be fetched all the same
            logger.warning("Redis refused to list the served models: %s", exc, extra={"event": "refused"})
        before_s = time.monotonic() - min_age_s
        ids = list(dict.fromkeys(p.id for p in pending if p.submitted_s <= before_s and _may_be_stored(p)))
        n_final = 0
        for reply in read_stored(self._link.requests, ids):
            n_final += reply.status in FINAL
            self._pending.deliver(reply)
        return n_final

    def _deliver(self, published: bytes) -> None:
        try:
            replies = read_published(published)
        except Exception as exc:  # anyone with access to Redis can publish anything
            logger.warning("a published reply cannot be read: %s", exc, extra={"event": "reply_unreadable"})
            return
        for number, reply in enumerate(replies, start=1):
            self._pending.deliver(reply)
            if number % TASKS_PER_ITERATION == 0:
                time.sleep(0)  # releases the GIL: else an event loop waits up to 5 ms in each iteration


def _may_be_stored(prediction: Prediction[Any]) -> bool:
    """Whether a stored result can answer this future.

    Until Redis has accepted a request whose id the caller chose, a result under this id is of an earlier one.
    """
    is_attached = not prediction.queue
    return not prediction.is_shared or is_attached or prediction.sent or prediction.maybe_sent
