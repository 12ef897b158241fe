"""The lane: a loop that reserves what waits in a queue, serves it together and settles it.

One thread for each lane. It passes a request through four steps: reserve and admit
(:mod:`modelane_worker.lanes.prefetch`), serve (:mod:`modelane_worker.lanes.service`) and settle
(:mod:`modelane_worker.lanes.settler`).  While one batch computes, the next one gathers in Redis: the batch
size adapts to the load by itself, and priorities are respected.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from modelane.broker.leased_queue import LeasedQueue
from modelane.broker.retry import Outage
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ModelaneError,
    PredictionFailed,
)
from modelane.protocol.message import Envelope, Headers
from modelane.settings import Settings
from modelane_worker.lanes.admission import Admission
from modelane_worker.lanes.celery_handoff import Handoffs
from modelane_worker.lanes.crash_suspect import CrashSuspect
from modelane_worker.lanes.prefetch import Batch, Prefetcher
from modelane_worker.lanes.service import Call, GivenBack, Result, Service
from modelane_worker.lanes.settler import Settler
from modelane_worker.lanes.task_events import TaskEvents

logger = logging.getLogger(__name__)

#: Seconds without a batch after a fault in our code, which may come again with the next batch.
FAULT_PAUSE_S = 0.5
#: Batches that may be served while larger requests compute; each of those holds its rows in memory.
MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class ActiveBatch:
    """The calls that are being served.

    Attributes:
        since_s: ``time.monotonic`` when serving started.
        is_computed: whether only storing the results is left, for which Redis may be unavailable for long.
    """

    calls: tuple[Call[Any], ...] = ()
    since_s: float = 0.0
    is_computed: bool = False


class Lane:
    """One queue and the loop that drains it.

    Args:
        name: of the queue.
        queue: to drain.
        service: answers the requests.
        settings: sizes and times.
        events: for Celery's monitors.
        handoffs: takes what Celery itself runs.
        suspect: notes which request is to blame if this worker crashes.
        is_revoked: whether a message was revoked by remote control.
        count: called with the number of requests that were served, for Celery's statistics.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        name: str,
        *,
        queue: LeasedQueue,
        service: Service[Any],
        settings: Settings,
        events: TaskEvents,
        handoffs: Handoffs,
        suspect: CrashSuspect,
        is_revoked: Callable[[Headers], bool],
        count: Callable[[int], None],
    ) -> None:
        self.name = name
        self.active = ActiveBatch()
        self.handoffs = handoffs
        self._queue = queue
        self._service = service
        self._settings = settings
        self._events = events
        self._suspect = suspect
        self._count = count
        self._depth = 0  # batches that are being served during the computation of others
        self._stopping = threading.Event()
        admission = Admission(service, settings, is_revoked=is_revoked, is_handoff=handoffs.is_handoff)
        self._prefetcher = Prefetcher(queue, settings, admission=admission, handoffs=handoffs)
        self._settler = Settler(queue, settings, events, self._stopping.wait)
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, give_back: bool = False) -> None:
        """Reserve no further batch; serve and settle those that are reserved.

        Args:
            give_back: whether the service may give long work back to the queue.
        """
        self._stopping.set()
        if give_back:
            self._service.give_back()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the loop; return whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def reserved(self) -> list[Envelope]:
        """Messages that are leased, but not served yet."""
        ahead = self._prefetcher.ahead
        calls = ahead.calls if ahead else ()
        return [item.envelope for item in (*calls, *self.handoffs.waiting)]

    def renew(self) -> None:
        """Renew the leases of all messages that are held.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        ahead = self._prefetcher.ahead
        if tags := [*(call.tag for call in self.active.calls), *(ahead.tags if ahead else ())]:
            self._queue.renew(tags, lease_s=self._settings.lease_s)
        self.handoffs.renew()

    def _run(self) -> None:
        outage = Outage(self.name, self._stopping.wait)
        while not self._stopping.is_set() or self._prefetcher.is_ahead:
            if not self._has_room(self._settings.tick_s):
                continue
            try:
                batch = self._prefetcher.next()
                outage.end()
                if batch.n_messages:
                    self._serve(batch)
                else:
                    self._wait()
            except (BrokerUnavailable, BrokerRefused) as exc:
                outage.pause(exc)
            except Exception:
                self._log_fault()
                self._stopping.wait(FAULT_PAUSE_S)
            finally:
                self.active = ActiveBatch()
        self._prefetcher.close()
        self.handoffs.close()

    def _log_fault(self) -> None:
        """Log a fault in our code, which must not end the lane."""
        logger.exception(
            "%s: a batch failed; its requests return to the queue when their leases expire",
            self.name,
            extra={"event": "lane_fault"},
        )

    def _wait(self) -> None:
        """Wait until there is something to reserve; an idle lane asks Redis nothing else, once a tick."""
        while not self._stopping.is_set() and not self._queue.wait(self._settings.tick_s):
            pass

    def _serve(self, batch: Batch) -> None:
        calls, outer = tuple(batch.calls), self.active
        self.active = ActiveBatch((*outer.calls, *calls), began_s := time.monotonic())
        if not self._stopping.is_set():
            self._prefetcher.reserve_ahead(batch)
        invalid = [refused for refused in batch.refused if refused.counts_as_run]
        self._events.received((*calls, *batch.refused))
        self._events.started((*calls, *invalid))
        self._events.publish()
        try:
            with self._suspected(calls):
                results = self._results(calls)
        except GivenBack:
            self._queue.release([call.tag for call in calls], delay_s=0, counts=False)
            return
        self.active = replace(self.active, is_computed=True)
        took_s = time.monotonic() - began_s
        # Counted before the results are stored: a caller that has its result may ask for the statistics.
        self._count(len(calls) + len(invalid))
        self._settler.settle(calls, results, batch.refused, took_s)
        self.active = replace(outer, since_s=time.monotonic())

    def _serve_others(self) -> None:
        """Serve a batch during the computation of a larger request, so that others need not wait for its end.

        A failure of this batch is handled as usual and does not affect the larger request.
        """
        outer = self.active
        if self._stopping.is_set() or self._depth == MAX_DEPTH or not self._has_room(0):
            return
        if any(call.envelope.attempts for call in outer.calls):
            return  # it may crash this worker: no other message shall lose an attempt with it
        self._depth += 1
        try:
            batch = self._prefetcher.next()
            if batch.n_messages:
                self._serve(batch)
        except (BrokerUnavailable, BrokerRefused) as exc:
            logger.warning("%s: %s", self.name, exc, extra={"event": "broker_unavailable"})
        except Exception:
            self._log_fault()
        finally:
            self._depth -= 1
            self.active = replace(outer, since_s=time.monotonic())

    def _has_room(self, timeout_s: float) -> bool:
        """Return whether a batch may be served: one is reserved already, or Celery can take its part."""
        return self._prefetcher.is_ahead or self.handoffs.has_room(timeout_s)

    def _suspected(self, calls: tuple[Call[Any], ...]) -> AbstractContextManager[None]:
        """Suspect a call that is on its last attempt; such a call is always alone in its batch."""
        if len(calls) == 1 and 0 < calls[0].envelope.attempts == self._settings.max_attempts - 1:
            return self._suspect.computing(calls[0].tag)
        return nullcontext()

    def _results(self, calls: tuple[Call[Any], ...]) -> Sequence[Result]:
        if not calls:
            return []
        try:
            return self._service.serve(calls, self._serve_others)
        except GivenBack:
            raise
        except Exception as exc:
            if not isinstance(exc, ModelaneError):
                logger.exception(
                    "%s: the service failed; %d requests are answered with PredictionFailed",
                    self.name,
                    len(calls),
                    extra={"event": "service_fault"},
                )
                exc = PredictionFailed(f"the worker failed: {type(exc).__name__}: {exc}")
            return [exc] * len(calls)
