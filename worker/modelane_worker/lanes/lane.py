"""The lane: reserve all that waits, answer it once, settle it; again.

supply → service → ending.  One thread a lane.  Nothing is hoarded: while one batch computes, the next one
gathers in Redis, so the batch grows with the load by itself and priorities stay true.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ModelaneError,
    PredictionFailed,
)
from modelane.protocol.message import Envelope, Headers
from modelane.settings import Settings
from modelane_worker.lanes.admission import Call, Outcome
from modelane_worker.lanes.celery_handoff import Handover
from modelane_worker.lanes.completion import Ending
from modelane_worker.lanes.crash_suspect import Suspicion
from modelane_worker.lanes.prefetch import Batch, Supply
from modelane_worker.lanes.task_events import Events

logger = logging.getLogger(__name__)

#: Seconds between two tries while Redis does not answer.
BROKER_RETRY_S = 0.5
#: Requests larger than a batch that may be half done at the same time; each holds its rows in memory.
MAX_DEPTH = 3


class GivenBack(Exception):
    """A service has not answered, since its worker ends: its calls go back to the queue, as they came."""


class Service(Protocol):
    """What answers the requests of a lane."""

    @property
    def put_off(self) -> Callable[[Call], float] | None:
        """Asked when a call is reserved: seconds until it should be reserved again, 0 to answer it now."""
        ...

    def answer(self, calls: Sequence[Call], breathe: Callable[[], None]) -> list[Outcome]:
        """One outcome a call, in their order.

        Args:
            calls: to answer together.
            breathe: may be called while a long one computes; the lane then serves what has gathered.

        Raises:
            GivenBack: only after :meth:`give_back`.
        """
        ...

    def give_back(self) -> None:
        """The worker ends: what would take long may be given back.  Called from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class InHand:
    """The batch that is being answered."""

    calls: tuple[Call, ...] = ()
    since_s: float = 0.0  #: ``time.monotonic`` when it began
    computed: bool = False  #: nothing is left but to store the answers; Redis may be away for long


class Lane:
    """One queue and the loop that drains it.

    Args:
        name: of the queue.
        queue: to drain.
        service: answers the requests.
        settings: sizes and times.
        events: tells Celery's monitors.
        handover: gets what Celery itself has to run.
        suspicion: who is to blame if this worker dies.
        is_revoked: whether a message was revoked by remote control.
        count: told how many requests of a task were answered, for Celery's own statistics.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        name: str,
        *,
        queue: LeasedQueue,
        service: Service,
        settings: Settings,
        events: Events,
        handover: Handover,
        suspicion: Suspicion,
        is_revoked: Callable[[Headers], bool],
        count: Callable[[int], None],
    ) -> None:
        self.name = name
        self.in_hand = InHand()
        self.handover = handover
        self._queue = queue
        self._service = service
        self._settings = settings
        self._events = events
        self._suspicion = suspicion
        self._supply = Supply(
            queue, settings, handover=handover, is_revoked=is_revoked, put_off=service.put_off
        )
        self._count = count
        self._depth = 0  # batches that are being served inside others
        self._stopping = threading.Event()
        self._ending = Ending(queue, settings, events, self._stopping.wait)
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, give_back: bool = False) -> None:
        """Take no further batch; those that are reserved are finished and settled, or given back."""
        self._stopping.set()
        if give_back:
            self._service.give_back()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the loop's end; True if it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def reserved(self) -> list[Envelope]:
        """What is held, but not begun."""
        ahead = self._supply.ahead
        calls = ahead.calls if ahead else ()
        return [item.envelope for item in (*calls, *self.handover.waiting)]

    def renew(self) -> None:
        """Keep the leases of what is held.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        ahead = self._supply.ahead
        if tags := [*(call.tag for call in self.in_hand.calls), *(ahead.tags if ahead else ())]:
            self._queue.renew(tags, lease_s=self._settings.lease_s)
        self.handover.renew()

    def _run(self) -> None:
        while not self._stopping.is_set() or self._supply.is_ahead:
            if not self._has_room(self._settings.tick_s):
                continue
            try:
                batch = self._supply.next()
                if batch.n_messages:
                    self._serve(batch)
                else:
                    self._wait()
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.warning("%s: %s", self.name, exc, extra={"event": "broker_unavailable"})
                self._stopping.wait(BROKER_RETRY_S)
            except Exception:
                # A fault of ours must not end the lane; the leases of its batch return by themselves.
                logger.exception("%s: a batch was dropped", self.name, extra={"event": "lane_fault"})
                self._stopping.wait(BROKER_RETRY_S)
            finally:
                self.in_hand = InHand()
        self._supply.close()
        self.handover.close()

    def _wait(self) -> None:
        """Until there is something to reserve; an idle lane asks no more than that, twice a second."""
        while not self._stopping.is_set() and not self._queue.wait(self._settings.tick_s):
            pass

    def _serve(self, batch: Batch) -> None:
        calls, outer = tuple(batch.calls), self.in_hand
        self.in_hand = InHand((*outer.calls, *calls), began_s := time.monotonic())
        if not self._stopping.is_set():
            self._supply.reserve_ahead(batch)
        self._events.received((*calls, *batch.refused))
        self._events.started(calls)
        self._events.publish()
        try:
            with self._on_last_attempt(calls):
                outcomes = self._answer(calls)
        except GivenBack:
            self._queue.release([call.tag for call in calls], delay_s=0, counts=False)
            return
        self.in_hand = replace(self.in_hand, computed=True)
        took_s = time.monotonic() - began_s
        self._count(len(calls))  # first: who has his answer may ask for the count
        self._ending.end(calls, outcomes, batch.refused, took_s)
        self.in_hand = replace(outer, since_s=time.monotonic())

    def _breathe(self) -> None:
        """Serve a batch while a request larger than a batch computes, so that it holds up nobody for long.

        What goes wrong with it is told as usual, and does not concern the large one.
        """
        outer = self.in_hand
        if self._stopping.is_set() or self._depth == MAX_DEPTH or not self._has_room(0):
            return
        if any(call.envelope.attempts for call in outer.calls):
            return  # it may end this worker: nothing else shall be lost with it
        self._depth += 1
        try:
            batch = self._supply.next()
            if batch.n_messages:
                self._serve(batch)
        except (BrokerUnavailable, BrokerRefused) as exc:
            logger.warning("%s: %s", self.name, exc, extra={"event": "broker_unavailable"})
        except Exception:
            logger.exception("%s: a batch was dropped", self.name, extra={"event": "lane_fault"})
        finally:
            self._depth -= 1
            self.in_hand = replace(outer, since_s=time.monotonic())

    def _has_room(self, timeout_s: float) -> bool:
        """Whether a batch may be begun: one is reserved already, or Celery could take its part of it."""
        return self._supply.is_ahead or self.handover.has_room(timeout_s)

    def _on_last_attempt(self, calls: tuple[Call, ...]) -> AbstractContextManager[None]:
        if len(calls) == 1 and 0 < calls[0].envelope.attempts == self._settings.max_attempts - 1:
            return self._suspicion.of(calls[0].tag)
        return nullcontext()

    def _answer(self, calls: tuple[Call, ...]) -> list[Outcome]:
        if not calls:
            return []
        try:
            return self._service.answer(calls, self._breathe)
        except GivenBack:
            raise
        except Exception as exc:
            if not isinstance(exc, ModelaneError):
                logger.exception("%s: the service failed", self.name, extra={"event": "service_fault"})
                exc = PredictionFailed(f"{type(exc).__name__}: {exc}")
            return [exc] * len(calls)
