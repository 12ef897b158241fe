"""The lane: reserve all that waits, answer it once, settle it; again.

reserve → intake → service → settle.  One thread a lane.  Nothing is hoarded: while one batch computes, the
next one gathers in Redis, so the batch grows with the load by itself and priorities stay true.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelane import results
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ModelaneError,
    PredictionFailed,
    TryLater,
)
from modelane.queue import LeasedQueue, Reserved, Settlement
from modelane_worker.events import Events
from modelane_worker.handover import Handover
from modelane_worker.intake import Call, Foreign, Later, Outcome, Refused, admit

logger = logging.getLogger(__name__)

#: Seconds between two tries while Redis does not answer.
BROKER_RETRY_S = 0.5
#: Seconds before the first retry of a request that met a passing fault; doubles with each attempt.
RETRY_DELAY_S = 1.0


class Service(Protocol):
    """What answers the requests of a lane."""

    def answer(self, calls: Sequence[Call]) -> list[Outcome]:
        """One outcome a call, in their order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one lane may take and how long; the settings of the same names."""

    max_batch_requests: int
    max_batch_rows: int
    max_batch_bytes: int
    max_request_bytes: int
    max_attempts: int
    lease_s: float
    tick_s: float
    result_ttl_s: float


@dataclass(frozen=True, slots=True)
class InHand:
    """The batch that is being answered."""

    calls: tuple[Call, ...] = ()
    since_s: float = 0.0  #: ``time.monotonic`` when it began


class Lane:
    """One queue and the loop that drains it.

    Args:
        name: of the queue.
        queue: to drain.
        service: answers the requests.
        limits: sizes and times.
        events: tells Celery's monitors.
        handover: gets what Celery itself has to run.
        is_revoked: whether an id was revoked by remote control.
        count: told how many requests of a task were answered, for Celery's own statistics.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        name: str,
        *,
        queue: LeasedQueue,
        service: Service,
        limits: Limits,
        events: Events,
        handover: Handover,
        is_revoked: Callable[[str], bool],
        count: Callable[[int], None],
    ) -> None:
        self.name = name
        self.in_hand = InHand()
        self.handover = handover
        self._queue = queue
        self._service = service
        self._limits = limits
        self._events = events
        self._is_revoked = is_revoked
        self._count = count
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no further batch; the one in hand is finished and settled."""
        self._stopping.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the loop's end; True if it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def renew(self) -> None:
        """Keep the leases of the batch in hand.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        if calls := self.in_hand.calls:
            self._queue.renew([call.tag for call in calls], lease_s=self._limits.lease_s)
        self.handover.renew()

    def _run(self) -> None:
        limits = self._limits
        while not self._stopping.is_set():
            if not self.handover.has_room(limits.tick_s):
                continue
            try:
                reserved = self._queue.reserve(
                    lease_s=limits.lease_s,
                    max_requests=limits.max_batch_requests,
                    max_rows=limits.max_batch_rows,
                    max_bytes=limits.max_batch_bytes,
                    max_attempts=limits.max_attempts,
                )
                if reserved.leases:
                    self._serve(reserved)
                else:
                    self._queue.wait(limits.tick_s)
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.warning("%s: %s", self.name, exc, extra={"event": "broker_unavailable"})
                self._stopping.wait(BROKER_RETRY_S)
            except Exception:
                # A fault of ours must not end the lane; the leases of its batch return by themselves.
                logger.exception("%s: a batch was dropped", self.name, extra={"event": "lane_fault"})
                self._stopping.wait(BROKER_RETRY_S)
            finally:
                self.in_hand = InHand()
        self.handover.close()

    def _serve(self, reserved: Reserved) -> None:
        calls, refused = self._admit(reserved)
        self.in_hand = InHand(calls, began_s := time.monotonic())
        for call in calls:
            self._events.received(call)
            self._events.started(call)
        if calls:
            self._events.publish()
        outcomes = self._answer(calls)
        took_s = time.monotonic() - began_s
        self._settle(calls, outcomes, refused, took_s)
        self._count(len(calls))

    def _admit(self, reserved: Reserved) -> tuple[tuple[Call, ...], list[Refused]]:
        calls: list[Call] = []
        refused: list[Refused] = []
        for lease in reserved.leases:
            admitted = admit(
                lease,
                reserved.now_s,
                is_revoked=self._is_revoked,
                is_foreign=self.handover.wants,
                max_attempts=self._limits.max_attempts,
                max_bytes=self._limits.max_request_bytes,
            )
            match admitted:
                case Call():
                    calls.append(admitted)
                case Foreign():
                    if (error := self.handover.take(admitted)) is not None:
                        refused.append(Refused(admitted.tag, admitted.envelope, error))
                case Refused():
                    refused.append(admitted)
                case Later():
                    self._queue.release([admitted.tag], delay_s=admitted.delay_s, counts=False)
        for item in refused:
            self._events.received(item)
        return tuple(calls), refused

    def _answer(self, calls: tuple[Call, ...]) -> list[Outcome]:
        if not calls:
            return []
        try:
            return self._service.answer(calls)
        except Exception as exc:
            if not isinstance(exc, ModelaneError):
                logger.exception("%s: the service failed", self.name, extra={"event": "service_fault"})
                exc = PredictionFailed(f"{type(exc).__name__}: {exc}")
            return [exc] * len(calls)

    def _settle(
        self,
        calls: tuple[Call, ...],
        outcomes: list[Outcome],
        refused: list[Refused],
        took_s: float,
    ) -> None:
        """Store every outcome, then say so; an outcome whose lease was lost is another worker's to tell."""
        ends: list[tuple[Call | Refused, Outcome]] = [(item, item.error) for item in refused]
        for call, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, TryLater):
                self._retry(call, outcome)
            else:
                ends.append((call, outcome))
        if not ends:
            return
        now_s = time.time()
        settlements = [self._settlement(item, outcome, now_s) for item, outcome in ends]
        ignored = self._settle_until_done(settlements)
        if ignored:
            logger.warning(
                "%s: %d answers came after their lease had run out; another worker's stand",
                self.name,
                len(ignored),
                extra={"event": "fenced", "queue": self.name, "n_requests": len(ignored)},
            )
        for position, (item, outcome) in enumerate(ends):
            if position not in ignored:
                self._events.ended(item, outcome, took_s)
        self._events.publish()
        logger.debug(
            "%s: %d answered in %.1f ms",
            self.name,
            len(ends) - len(ignored),
            took_s * 1e3,
            extra={"event": "batch_done", "queue": self.name, "n_requests": len(ends)},
        )

    def _settle_until_done(self, settlements: list[Settlement]) -> frozenset[int]:
        """Computed answers are not thrown away because Redis is restarting."""
        while True:
            try:
                return self._queue.settle(settlements)
            except BrokerUnavailable as exc:
                logger.warning("%s: %s", self.name, exc, extra={"event": "settle_waits"})
                if self._stopping.wait(BROKER_RETRY_S):
                    raise

    def _retry(self, call: Call, error: TryLater) -> None:
        """Give it back with back-off and jitter; it counts as an attempt, so it cannot go on for ever."""
        delay_s = RETRY_DELAY_S * 2**call.envelope.attempts * random.uniform(0.5, 1.5)  # noqa: S311
        self._queue.release([call.tag], delay_s=delay_s, counts=True)
        self._events.retried(call, error)

    def _settlement(self, item: Call | Refused, outcome: Outcome, now_s: float) -> Settlement:
        envelope = item.envelope
        if envelope is None:  # nobody can be told
            return Settlement(item.tag, f"?{item.tag.decode()}", b"", 0, bury_reason=str(outcome))
        buried = str(outcome) if isinstance(item, Refused) and item.bury else ""
        wanted = not envelope.headers.ignore_result
        if isinstance(outcome, ModelaneError):
            value = results.write_failure(envelope, outcome, now_s)
        else:
            value = results.write_result(envelope, outcome, now_s)
        return Settlement(
            item.tag,
            envelope.headers.id,
            value,
            self._limits.result_ttl_s if wanted else 0,
            envelope.reply_to,
            buried,
        )
