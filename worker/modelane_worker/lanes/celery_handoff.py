"""Requests that are more than a prediction: canvas, and any other task, run by Celery's own consumer.

intake → HANDOVER → delivery → Celery.  A message stays leased until Celery acknowledges it.  Celery gets as
many as its pool runs at once; the rest can go back when the worker stops.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from celery.worker import state as worker_state

from modelane.broker.leased_queue import LeasedQueue, Settlement
from modelane.errors import BadInput, BrokerRefused, BrokerUnavailable, Buried, ModelaneError
from modelane.protocol import message, result
from modelane.settings import Settings
from modelane_worker.lanes import celery_delivery
from modelane_worker.lanes.admission import Foreign

logger = logging.getLogger(__name__)

#: Seconds between two tries to settle the last ones while a worker stops.
RETRY_S = 0.5


class Handover:
    """What one lane has handed over to Celery and Celery has not yet acknowledged.

    Args:
        task: whose plain requests the lane answers itself.
        queue: where the messages are leased.
        worker: Celery's ``WorkController``; its consumer and its pool run them.
        settings: of the lane; as many as make a batch may be here.
    """

    def __init__(self, task: str, queue: LeasedQueue, worker: Any, settings: Settings) -> None:
        self._task = task
        self._queue = queue
        self._worker = worker
        self._settings = settings
        self._changed = threading.Condition()
        self._waiting: deque[Foreign] = deque()
        self._running: dict[bytes, Foreign] = {}
        self._ended: dict[bytes, Settlement] = {}  # tag → what Redis is still to hear
        self._seen_s: dict[str, float] = {}  # id of what Celery runs → when that was first noticed

    @property
    def waiting(self) -> tuple[Foreign, ...]:
        """Reserved, but not yet known to Celery."""
        return tuple(self._waiting)

    def runs_s(self, now_s: float) -> float:
        """For how long the longest of its tasks has been seen running; 0 if none does.

        What waits for a thread of Celery's pool does not run yet.  Ask again and again: a task counts from
        the first time that it was seen.

        Args:
            now_s: ``time.monotonic``; Celery's own stamp is of a clock that may be set.
        """
        with self._changed:
            ids = {item.envelope.headers.id for item in self._running.values()}
        if ids:
            ids &= {request.id for request in members(worker_state.active_requests)}
        self._seen_s = {id_: self._seen_s.get(id_, now_s) for id_ in ids}
        return now_s - min(self._seen_s.values(), default=now_s)

    def wants(self, envelope: message.Envelope, body: message.Body) -> bool:
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
            return self._changed.wait_for(self._may_reserve, timeout_s)

    def renew(self) -> None:
        """Keep all leases.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        self._flush()
        with self._changed:
            tags = [*self._running, *(item.tag for item in self._waiting)]
        if tags:
            self._queue.renew(tags, lease_s=self._settings.lease_s)
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
        except (BrokerUnavailable, BrokerRefused) as exc:
            logger.warning("%s; the leases run out", exc, extra={"event": "handover_left"})

    def _may_reserve(self) -> bool:
        here = (*self._waiting, *self._running.values())
        # On its last attempt it is alone: if it ends this worker again, nothing else is lost with it.
        return len(here) < self._settings.max_batch_requests and not any(
            item.envelope.attempts == self._settings.max_attempts - 1 for item in here
        )

    def _call_celery(self) -> None:
        self._worker.consumer.call_soon(self._begin)

    def _begin(self) -> None:
        """In the thread of Celery's event loop: its strategies are not made for another one."""
        with self._changed:
            if not self._waiting or len(self._running) >= self._worker.pool.num_processes:
                return
            item = self._waiting.popleft()
            self._running[item.tag] = item
        if item.refused is not None:
            self._refuse(item, item.refused, bury=isinstance(item.refused, Buried))
            return
        try:
            celery_delivery.run(item, self._worker.consumer, ack=self._ack, reject=self._reject)
        except Exception as exc:  # whatever is wrong with it, or with a task's own request class
            name = item.envelope.headers.task
            logger.exception("%s: Celery cannot take it", name, extra={"event": "handover_failed"})
            self._refuse(item, BadInput(f"Celery cannot take it: {type(exc).__name__}: {exc}"), bury=True)

    def _refuse(self, item: Foreign, error: ModelaneError, *, bury: bool) -> None:
        """Have Celery tell all whom it concerns; where it cannot even do that, tell the caller."""
        value = b""
        try:
            celery_delivery.refuse(item, error, self._worker.consumer)
        except Exception:
            name = item.envelope.headers.task
            logger.exception("%s: Celery cannot refuse it", name, extra={"event": "handover_failed"})
            value = result.write_failure(item.envelope, error, time.time())
        self._settle(item, value, str(error) if bury else "")

    def _ack(self, item: Foreign) -> None:
        self._settle(item)

    def _reject(self, item: Foreign, requeue: bool) -> None:
        if not requeue:
            self._settle(item, bury_reason="the task was rejected")
            return
        with suppress(BrokerUnavailable, BrokerRefused):  # then its lease runs out, to the same end
            self._queue.release([item.tag], delay_s=0, counts=True)
        self._forget(item.tag)

    def _settle(self, item: Foreign, value: bytes = b"", bury_reason: str = "") -> None:
        """Drop its lease; the result is stored already, unless there is a ``value``."""
        headers = item.envelope.headers
        ttl_s = self._settings.result_ttl_s if value and not headers.ignore_result else 0
        settlement = Settlement(item.tag, headers.id, value, ttl_s, item.envelope.reply_to, bury_reason)
        with self._changed:
            self._ended[item.tag] = settlement
        try:
            self._flush()
        except (BrokerUnavailable, BrokerRefused) as exc:
            logger.warning("%s", exc, extra={"event": "settle_waits"})

    def _flush(self) -> None:
        """Settle what has ended; what cannot be settled now stays for the next time.

        From several threads at once: the same may then be said twice, which does no harm.
        """
        with self._changed:
            ended = dict(self._ended)
        if ended:
            self._queue.settle(list(ended.values()))
            for tag in ended:
                self._forget(tag)

    def _forget(self, tag: bytes) -> None:
        with self._changed:
            self._ended.pop(tag, None)
            self._running.pop(tag, None)
            self._changed.notify_all()
        self._call_celery()


def members(requests: Iterable[Any]) -> list[Any]:
    """Of a set that the pool's threads change meanwhile."""
    while True:
        with suppress(RuntimeError):
            return list(requests)
