"""What a lane answers next: reserved, read, and sorted by what becomes of it.

queue.reserve → intake → SUPPLY → lane.  While a heavy batch computes, the next one is reserved and read by a
second thread: reading a megabyte of rows takes about as long as predicting them.  Light batches are not
reserved ahead, so that what is urgent need not wait behind what is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerUnavailable
from modelane.protocol.message import Headers
from modelane.settings import Settings
from modelane_worker.lanes.admission import Call, Foreign, Later, Refused, admit, refuse_late
from modelane_worker.lanes.celery_handoff import Handover


@dataclass(slots=True)
class Batch:
    """What one reserve brought; what is put off or handed over is only counted.

    Attributes:
        now_s: Redis time when it was reserved.
        n_messages: all that were reserved.
    """

    now_s: float
    n_messages: int
    calls: list[Call] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    read_s: float = field(default_factory=time.monotonic)

    @property
    def tags(self) -> list[bytes]:
        return [call.tag for call in self.calls] + [refused.tag for refused in self.refused]


class Supply:
    """Brings batches to one lane, whose thread alone calls it, but for ``ahead``.

    Args:
        queue: to reserve from.
        settings: of a batch.
        handover: gets what Celery itself has to run.
        is_revoked: whether a message was revoked by remote control.
        put_off: says by how many seconds a call has to wait; None if none ever has.
    """

    def __init__(
        self,
        queue: LeasedQueue,
        settings: Settings,
        *,
        handover: Handover,
        is_revoked: Callable[[Headers], bool],
        put_off: Callable[[Call], float] | None = None,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._handover = handover
        self._is_revoked = is_revoked
        self._put_off = put_off
        self._ahead: Future[Batch] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="lane-reader")  # starts when first needed

    @property
    def is_ahead(self) -> bool:
        """Whether a batch is reserved, or being reserved, that the lane has not taken yet."""
        return self._ahead is not None

    @property
    def ahead(self) -> Batch | None:
        """The batch that is reserved and read, but not yet taken."""
        ahead = self._ahead
        return ahead.result() if ahead and ahead.done() and not ahead.exception() else None

    def next(self) -> Batch:
        """The batch that was reserved ahead, else what waits now: perhaps nothing.

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
        return self._without_late(batch)

    def reserve_ahead(self, batch: Batch) -> None:
        """Begin with the next one while ``batch`` computes, if it is so heavy that more is likely to wait."""
        rows = sum(call.envelope.rows for call in batch.calls)
        n_bytes = sum(len(call.message) for call in batch.calls)
        if any(call.envelope.attempts for call in batch.calls):
            return  # one of them may end this worker: nothing else shall be lost with it
        heavy = rows > self._settings.max_batch_rows // 2 or n_bytes > self._settings.max_batch_bytes // 2
        if heavy and self._handover.has_room(0):
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
            admitted = admit(
                lease,
                reserved.now_s,
                is_revoked=self._is_revoked,
                is_foreign=self._handover.wants,
                max_attempts=settings.max_attempts,
                max_bytes=settings.max_request_bytes,
                reserved_s=reserved_s,
            )
            if self._put_off and isinstance(admitted, Call) and (delay_s := self._put_off(admitted)):
                admitted = Later(admitted.tag, delay_s)
            match admitted:
                case Call():
                    batch.calls.append(admitted)
                case Refused():
                    batch.refused.append(admitted)
                case Foreign():
                    if (error := self._handover.take(admitted)) is not None:
                        batch.refused.append(Refused(admitted.tag, admitted.envelope, error))
                case Later():
                    with suppress(BrokerUnavailable):  # then it comes back when its lease runs out
                        self._queue.release([admitted.tag], delay_s=admitted.delay_s, counts=False)
        return batch

    def _without_late(self, batch: Batch) -> Batch:
        """Some may have been revoked, or have expired, while they were held."""
        now_s = batch.now_s + time.monotonic() - batch.read_s
        fates = [refuse_late(call, now_s, is_revoked=self._is_revoked) for call in batch.calls]
        batch.refused += [fate for fate in fates if isinstance(fate, Refused)]
        batch.calls = [fate for fate in fates if isinstance(fate, Call)]
        return batch
