"""Reserve and admit the batch that a lane serves next, ahead of time if the one before it is heavy.

While a heavy batch computes, a second thread reserves and parses the next one: parsing a megabyte of rows
takes about as long as predicting them. After a light batch nothing is reserved ahead, so that an urgent
request never waits behind one that is held in memory.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerUnavailable
from modelane.settings import Settings
from modelane_worker.lanes.admission import Admission, Handoff, Refused
from modelane_worker.lanes.celery_handoff import Handoffs
from modelane_worker.lanes.service import Call, Deferred


@dataclass(slots=True)
class Batch:
    """What one reserve brought; deferred messages and handoffs are only counted.

    Attributes:
        now_s: Redis time when it was reserved, Unix seconds.
        n_messages: number of all messages that were reserved.
        admitted_s: ``time.monotonic`` when it was reserved.
    """

    now_s: float
    n_messages: int
    calls: list[Call[Any]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    admitted_s: float = field(default_factory=time.monotonic)

    @property
    def tags(self) -> list[bytes]:
        return [call.tag for call in self.calls] + [refused.tag for refused in self.refused]


class Prefetcher:
    """Brings batches to one lane. Only the lane's thread calls it, except for ``ahead`` and ``is_ahead``.

    Args:
        queue: to reserve from.
        settings: limits of a batch.
        admission: decides about each message.
        handoffs: takes what Celery itself runs.
    """

    def __init__(
        self, queue: LeasedQueue, settings: Settings, *, admission: Admission, handoffs: Handoffs
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._admission = admission
        self._handoffs = handoffs
        self._ahead: Future[Batch] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="lane-prefetch")  # starts at its first task

    @property
    def is_ahead(self) -> bool:
        """Whether a batch is reserved, or being reserved, that the lane has not taken yet."""
        return self._ahead is not None

    @property
    def ahead(self) -> Batch | None:
        """The batch that is reserved and parsed, but not taken yet."""
        ahead = self._ahead
        return ahead.result() if ahead and ahead.done() and not ahead.exception() else None

    def next(self) -> Batch:
        """Return the batch that was reserved ahead, else reserve what waits now, which may be nothing.

        Raises:
            BrokerUnavailable: Redis does not answer.
            BrokerRefused: an operator must act.
        """
        if self._ahead is None:
            return self._reserve()
        try:
            batch = self._ahead.result()
        finally:
            self._ahead = None
        return self._admit_again(batch)

    def reserve_ahead(self, batch: Batch) -> None:
        """Start to reserve the next batch if ``batch`` is so heavy that more messages probably wait."""
        rows = sum(call.envelope.rows for call in batch.calls)
        n_bytes = sum(call.n_bytes for call in batch.calls)
        if any(call.envelope.attempts for call in batch.calls):
            return  # one of them may crash this worker: no other message shall lose an attempt with it
        heavy = rows > self._settings.max_batch_rows // 2 or n_bytes > self._settings.max_batch_bytes // 2
        if heavy and self._handoffs.has_room(0):
            self._ahead = self._reader.submit(self._reserve, only_first_attempts=True)

    def close(self) -> None:
        self._reader.shutdown()

    def _reserve(self, *, only_first_attempts: bool = False) -> Batch:
        settings = self._settings
        reserved = self._queue.reserve(
            lease_s=settings.lease_s,
            max_requests=settings.max_batch_requests,
            max_rows=settings.max_batch_rows,
            max_bytes=settings.max_batch_bytes,
            max_attempts=settings.max_attempts,
            only_first_attempts=only_first_attempts,
        )
        reserved_s = time.perf_counter()
        batch = Batch(reserved.now_s, len(reserved.leases))
        for lease in reserved.leases:
            match self._admission.admit(lease, reserved.now_s, reserved_s):
                case Call() as call:
                    batch.calls.append(call)
                case Refused() as refused:
                    batch.refused.append(refused)
                case Handoff() as handoff:
                    if (error := self._handoffs.take(handoff)) is not None:
                        batch.refused.append(Refused(handoff.tag, handoff.envelope, error))
                case Deferred(tag, delay_s):
                    with suppress(BrokerUnavailable):  # then it returns when its lease expires
                        self._queue.release([tag], delay_s=delay_s, counts=False)
        return batch

    def _admit_again(self, batch: Batch) -> Batch:
        """Refuse what was revoked or has expired while the batch was held."""
        now_s = batch.now_s + time.monotonic() - batch.admitted_s
        decisions = [self._admission.admit_again(call, now_s) for call in batch.calls]
        batch.refused += [refused for refused in decisions if isinstance(refused, Refused)]
        batch.calls = [call for call in decisions if isinstance(call, Call)]
        return batch
