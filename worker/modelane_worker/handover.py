"""Requests that are more than a prediction: canvas, and any other task, run by Celery's own consumer.

intake → HANDOVER → Celery.  To Celery a message comes as from any broker: it sends the events, knows revokes,
time limits and retries, stores the result and calls what is linked.  To the queue it stays leased until
Celery acknowledges it.  Celery gets as many as its pool runs at once; the rest can go back when the worker
stops.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections import deque
from typing import Any

import msgspec
from celery.worker import state as worker_state
from kombu.message import Message
from kombu.serialization import prepare_accept_content

from modelane import wire
from modelane.errors import BadInput, BrokerUnavailable, ModelaneError
from modelane.queue import LeasedQueue, Settlement
from modelane_worker.intake import Foreign

logger = logging.getLogger(__name__)

#: Seconds between two tries to settle the last ones while a worker stops.
RETRY_S = 0.5


class Handover:
    """What one lane has handed over to Celery and Celery has not yet acknowledged.

    Args:
        task: whose plain requests the lane answers itself.
        queue: where the messages are leased.
        worker: Celery's ``WorkController``; its consumer and its pool run them.
        lease_s: of each message, renewed by :meth:`renew`.
        most: so many may be here; then the lane waits.
    """

    def __init__(self, task: str, queue: LeasedQueue, worker: Any, *, lease_s: float, most: int) -> None:
        self._task = task
        self._queue = queue
        self._worker = worker
        self._lease_s = lease_s
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[Foreign] = deque()
        self._running: dict[bytes, Foreign] = {}
        self._ended: list[Settlement] = []

    @property
    def waiting(self) -> tuple[Foreign, ...]:
        """Reserved, but not yet known to Celery."""
        return tuple(self._waiting)

    def wants(self, envelope: wire.Envelope, body: wire.Body) -> bool:
        """Whether a message is for Celery rather than for the lane."""
        embed = body[2]
        return envelope.headers.task != self._task or bool(
            embed.callbacks or embed.errbacks or embed.chain or embed.chord
        )

    def take(self, item: Foreign) -> ModelaneError | None:
        """Take it over, or say why not."""
        if (name := item.envelope.headers.task) not in self._worker.app.tasks:
            return BadInput(f"this worker has no task {name!r:.80}")
        with self._changed:
            self._waiting.append(item)
        self._call_celery()
        return None

    def has_room(self, timeout_s: float) -> bool:
        """Wait until the lane may reserve more."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n < self._most, timeout_s)

    def renew(self) -> None:
        """Keep all leases.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        self._flush()
        with self._changed:
            tags = [*self._running, *(item.tag for item in self._waiting)]
        if tags:
            self._queue.renew(tags, lease_s=self._lease_s)
            self._call_celery()  # a call may have been lost with Celery's connection

    def close(self) -> None:
        """Give back what Celery does not know yet, and wait for what it runs."""
        with self._changed:
            waiting = [item.tag for item in self._waiting]
            self._waiting.clear()
        try:
            if waiting:
                self._queue.release(waiting, delay_s=0, counts=False)
            while self._running:
                with self._changed:
                    self._changed.wait_for(lambda: not self._running, RETRY_S)
                self._flush()
        except BrokerUnavailable as exc:
            logger.warning("%s; the leases run out", exc, extra={"event": "handover_left"})

    @property
    def _n(self) -> int:
        return len(self._waiting) + len(self._running)

    def _call_celery(self) -> None:
        self._worker.consumer.call_soon(self._begin)

    def _begin(self) -> None:
        """In the thread of Celery's event loop: its strategies are not made for another one."""
        with self._changed:
            if not self._waiting or len(self._running) >= self._worker.pool.num_processes:
                return
            item = self._waiting.popleft()
            self._running[item.tag] = item
        try:
            self._give(item)
        except Exception as exc:  # whatever a task's own request class raises
            name = item.envelope.headers.task
            logger.exception("%s: Celery cannot take it", name, extra={"event": "handover_failed"})
            self._settle(item, f"{type(exc).__name__}: {exc}")

    def _give(self, item: Foreign) -> None:
        consumer, headers = self._worker.consumer, item.envelope.headers
        if item.refused is not None:
            # Celery compares with the clock of this machine, the queue with that of Redis; and it does not
            # say that it received what it then refuses.
            worker_state.revoked.add(headers.id)
            if consumer.event_dispatcher:
                consumer.event_dispatcher.send(
                    "task-received",
                    uuid=headers.id,
                    name=headers.task,
                    args=headers.argsrepr,
                    kwargs=headers.kwargsrepr,
                )
        message = as_kombu(item, accept=consumer.app.conf.accept_content)
        payload = None if "task" in message.headers else message.decode()  # protocol 1
        consumer.strategies[headers.task](
            message,
            payload,
            lambda *_: self._settle(item),
            lambda _logger, _errors, requeue=False: self._reject(item, requeue=requeue),
            consumer.on_task_message,
        )

    def _reject(self, item: Foreign, *, requeue: bool) -> None:
        if not requeue:
            self._settle(item, "the task was rejected")
            return
        self._queue.release([item.tag], delay_s=0, counts=True)
        self._forget(item.tag)

    def _settle(self, item: Foreign, bury_reason: str = "") -> None:
        """Celery has stored the result: only the lease is left to be dropped."""
        self._ended.append(Settlement(item.tag, item.envelope.headers.id, b"", 0, bury_reason=bury_reason))
        try:
            self._flush()
        except BrokerUnavailable as exc:
            logger.warning("%s", exc, extra={"event": "settle_waits"})

    def _flush(self) -> None:
        """Settle what has ended; what cannot be settled now stays for the next time."""
        with self._changed:
            ended = list(self._ended)
        if ended:
            self._queue.settle(ended)
            with self._changed:
                del self._ended[: len(ended)]
            for settlement in ended:
                self._forget(settlement.tag)

    def _forget(self, tag: bytes) -> None:
        with self._changed:
            self._running.pop(tag, None)
            self._changed.notify_all()
        self._call_celery()


def as_kombu(item: Foreign, accept: list[str]) -> Message:
    """The message as kombu would have delivered it.

    Args:
        item: whose body :mod:`modelane.wire` has read, so it is well-formed.
        accept: forms of a body that may be decoded.
    """
    raw = msgspec.json.decode(item.message)
    properties = raw.get("properties") or {}
    body = raw["body"]
    return Message(
        body=base64.b64decode(body) if properties.get("body_encoding") == "base64" else body,
        content_type=raw["content-type"],
        content_encoding=raw["content-encoding"],
        headers=raw.get("headers"),
        properties=properties,
        delivery_info=properties.get("delivery_info"),
        accept=prepare_accept_content(accept),
    )
