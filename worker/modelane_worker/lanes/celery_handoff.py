"""Hand messages of a lane to Celery's own consumer: canvas, and tasks other than the lane's own.

Uses :mod:`modelane_worker.lanes.celery_delivery`. A message stays leased until Celery acknowledges it.
Celery gets as many as its pool runs at the same time; the others return to the queue when the worker stops.
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

from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BadInput, BrokerRefused, BrokerUnavailable, Buried, ModelaneError
from modelane.protocol import message
from modelane.settings import Settings
from modelane_worker.lanes import celery_delivery
from modelane_worker.lanes.admission import Handoff
from modelane_worker.lanes.settlement import settlement_of

logger = logging.getLogger(__name__)

#: Seconds between two tries to settle the last handoffs while a worker stops.
RETRY_S = 0.5


class Handoffs:
    """The messages that one lane has handed to Celery and Celery has not acknowledged yet. Thread-safe.

    Args:
        task: name of the task whose plain requests the lane itself answers.
        queue: where the messages are leased.
        worker: Celery's ``WorkController``; its consumer and its pool run them.
        settings: of the lane; there are at most as many handoffs as requests in a batch.
    """

    def __init__(self, task: str, queue: LeasedQueue, worker: Any, settings: Settings) -> None:
        self._task = task
        self._queue = queue
        self._worker = worker
        self._settings = settings
        self._changed = threading.Condition()
        self._waiting: deque[Handoff] = deque()
        self._running: dict[bytes, Handoff] = {}
        self._ended: dict[bytes, Settlement] = {}  # by tag, what is not settled on Redis yet
        self._first_seen_s: dict[str, float] = {}  # by id, when it was first seen to run

    @property
    def waiting(self) -> tuple[Handoff, ...]:
        """Handoffs that Celery has not got yet."""
        return tuple(self._waiting)

    def longest_run_s(self, now_s: float) -> float:
        """Return for how long the longest of the tasks has been seen to run, in seconds; 0 if none runs.

        A task that waits for a thread of Celery's pool does not run yet. Call this repeatedly: the time of a
        task counts from the first call that sees it run.

        Args:
            now_s: ``time.monotonic``; Celery's own time stamps are of a clock that may be set.
        """
        with self._changed:
            ids = {handoff.envelope.headers.id for handoff in self._running.values()}
        if ids:
            ids &= {request.id for request in snapshot(worker_state.active_requests)}
        self._first_seen_s = {id_: self._first_seen_s.get(id_, now_s) for id_ in ids}
        return now_s - min(self._first_seen_s.values(), default=now_s)

    def is_handoff(self, envelope: message.Envelope, body: message.Body) -> bool:
        """Return whether Celery runs this message, as opposed to the lane."""
        embed = body[2]
        return envelope.headers.task != self._task or bool(
            embed.callbacks or embed.errbacks or embed.chain or embed.chord
        )

    def take(self, handoff: Handoff) -> ModelaneError | None:
        """Accept a message; return an error instead if this worker cannot run it."""
        if (name := handoff.envelope.headers.task) not in self._worker.app.tasks:
            return BadInput(
                f"this worker has no task {name!r:.80}: check the name, or start the worker with "
                "--include and the module that defines it"
            )
        with self._changed:
            self._waiting.append(handoff)
        self._call_celery()
        return None

    def has_room(self, timeout_s: float) -> bool:
        """Wait until the lane may reserve more; return False after ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(self._may_reserve, timeout_s)

    def renew(self) -> None:
        """Renew all leases.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        self._flush()
        with self._changed:
            tags = [*self._running, *(handoff.tag for handoff in self._waiting)]
        if tags:
            self._queue.renew(tags, lease_s=self._settings.lease_s)
            self._call_celery()  # an earlier call may have been lost with Celery's connection

    def close(self) -> None:
        """Release what Celery has not got yet, and wait for what it runs."""
        with self._changed:
            waiting = [handoff.tag for handoff in self._waiting]
            self._waiting.clear()
        try:
            if waiting:
                self._queue.release(waiting, delay_s=0, counts=False)
            while self._running:
                with self._changed:
                    self._changed.wait_for(lambda: not self._running, RETRY_S)
                self._flush()
        except (BrokerUnavailable, BrokerRefused) as exc:
            logger.warning(
                "%s: tasks that Celery ran could not be settled; their leases expire: %s",
                self._queue.keys.queue,
                exc,
                extra={"event": "handover_left"},
            )

    def _may_reserve(self) -> bool:
        held = (*self._waiting, *self._running.values())
        # A message on its last attempt is alone: if it crashes this worker too, nothing else is lost with it.
        return len(held) < self._settings.max_batch_requests and not any(
            handoff.envelope.attempts == self._settings.max_attempts - 1 for handoff in held
        )

    def _call_celery(self) -> None:
        self._worker.consumer.call_soon(self._start_next)

    def _start_next(self) -> None:
        """Run in the thread of Celery's event loop: its strategies are not thread-safe."""
        with self._changed:
            if not self._waiting or len(self._running) >= self._worker.pool.num_processes:
                return
            handoff = self._waiting.popleft()
            self._running[handoff.tag] = handoff
        if handoff.refused is not None:
            self._refuse(handoff, handoff.refused, bury=isinstance(handoff.refused, Buried))
            return
        try:
            celery_delivery.run(handoff, self._worker.consumer, ack=self._ack, reject=self._reject)
        except Exception as exc:  # a malformed message, or a fault in a task's own request class
            name = handoff.envelope.headers.task
            logger.exception("%s: Celery cannot run this message", name, extra={"event": "handover_failed"})
            error = BadInput(f"Celery cannot run this message: {type(exc).__name__}: {exc}")
            self._refuse(handoff, error, bury=True)

    def _refuse(self, handoff: Handoff, error: ModelaneError, *, bury: bool) -> None:
        """Have Celery inform caller and canvas; if that fails too, answer the caller here."""
        result: ModelaneError | None = None
        try:
            celery_delivery.refuse(handoff, error, self._worker.consumer)
        except Exception:
            name = handoff.envelope.headers.task
            logger.exception(
                "%s: Celery cannot refuse this message", name, extra={"event": "handover_failed"}
            )
            result = error
        self._settle(handoff, result, str(error) if bury else "")

    def _ack(self, handoff: Handoff) -> None:
        self._settle(handoff)

    def _reject(self, handoff: Handoff, requeue: bool) -> None:
        if not requeue:
            self._settle(handoff, bury_reason="the task rejected the message without requeueing it")
            return
        with suppress(BrokerUnavailable, BrokerRefused):  # then its lease expires, which has the same effect
            self._queue.release([handoff.tag], delay_s=0, counts=True)
        self._forget(handoff.tag)

    def _settle(self, handoff: Handoff, result: ModelaneError | None = None, bury_reason: str = "") -> None:
        """Drop its lease; Celery has stored the result, unless there is a ``result`` here."""
        settlement = settlement_of(
            handoff.tag,
            handoff.envelope,
            result,
            now_s=time.time(),
            ttl_s=self._settings.result_ttl_s,
            bury_reason=bury_reason,
        )
        with self._changed:
            self._ended[handoff.tag] = settlement
        try:
            self._flush()
        except (BrokerUnavailable, BrokerRefused) as exc:
            name = handoff.envelope.headers.task
            logger.warning("%s: not settled yet, retrying: %s", name, exc, extra={"event": "settle_waits"})

    def _flush(self) -> None:
        """Settle what has ended; what cannot be settled now stays for the next call.

        Several threads may settle the same message, which does no harm.
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


def snapshot(requests: Iterable[Any]) -> list[Any]:
    """Return the members of a set that the threads of Celery's pool change at the same time."""
    while True:
        with suppress(RuntimeError):
            return list(requests)
