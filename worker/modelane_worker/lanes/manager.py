"""The lanes of one worker: which run, who renews their leases, and when a hung one ends the worker."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from modelane.errors import ModelaneError
from modelane_worker.lanes.lane import Lane

logger = logging.getLogger(__name__)

#: Exit status of a worker whose predict hung: ``EX_SOFTWARE``.
EXIT_HUNG = 70


class Lanes:
    """Starts, watches and stops lanes.

    Args:
        open_lane: makes the lane of a queue; it is started here.
        lease_s: of the lanes; renewed three times in it.
        batch_limit_s: a batch that takes longer ends the process; its leases then return.
        refresh: called every ``refresh_s`` with this object, to start lanes that have become possible.
        refresh_s: seconds.
        end: ends the process at once.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        open_lane: Callable[[str], Lane],
        *,
        lease_s: float,
        batch_limit_s: float,
        refresh: Callable[[Lanes], None],
        refresh_s: float,
        end: Callable[[int], Any] = os._exit,
    ) -> None:
        self._open_lane = open_lane
        self._lease_s = lease_s
        self._batch_limit_s = batch_limit_s
        self._refresh = refresh
        self._refresh_s = refresh_s
        self._end = end
        self._lock = threading.Lock()
        self._running: dict[str, Lane] = {}
        self._paused: set[str] = set()
        self._retired: list[Lane] = []  # closed, but their last batch may still compute
        self._closing = threading.Event()
        self._drained = threading.Event()
        self._ring = threading.Event()
        self._threads = [
            threading.Thread(target=loop, name=f"lanes-{name}", daemon=True)
            for name, loop in (("renew", self._keep_leases), ("refresh", self._keep_fresh))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def queues(self) -> tuple[str, ...]:
        """Queues that are being drained."""
        return tuple(self._running)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return tuple(self._running.values())

    def open(self, queue: str) -> None:
        """Start the lane of a queue, unless it runs, or an operator has closed it."""
        with self._lock:
            if queue in self._running or queue in self._paused or self._closing.is_set():
                return
            self._running[queue] = lane = self._open_lane(queue)
            lane.start()
        logger.info("lane %s is open", queue, extra={"event": "lane_open", "queue": queue})

    def resume(self, queue: str) -> None:
        """Open a queue again that :meth:`close` has closed."""
        self._paused.discard(queue)
        self.open(queue)

    def close(self, queue: str) -> None:
        """Let a lane finish its batch and take no more, until :meth:`resume`."""
        with self._lock:
            self._paused.add(queue)
            lane = self._running.pop(queue, None)
        if lane is not None:
            self._retired.append(lane)
            lane.stop()
            logger.info("lane %s is closed", queue, extra={"event": "lane_closed", "queue": queue})

    def ring(self) -> None:
        """Refresh now: a model's alias has moved."""
        self._ring.set()

    def drain(self) -> None:
        """Stop all lanes warmly: no further batch, the ones in hand are settled."""
        with self._lock:  # no lane is being opened any more
            self._closing.set()
        self._ring.set()
        lanes = (*self.lanes, *self._retired)
        for lane in lanes:
            lane.stop(give_back=True)
        for lane in lanes:
            lane.join()
        self._drained.set()
        for thread in self._threads:
            thread.join()

    def _keep_leases(self) -> None:
        self._expect_to_live()
        while not self._drained.wait(self._lease_s / 3):
            self._expect_to_live()
            self._retired = [lane for lane in self._retired if not lane.join(0)]
            for lane in (*self.lanes, *self._retired):
                self._keep(lane)

        faulthandler.cancel_dump_traceback_later()

    def _expect_to_live(self) -> None:
        """A predict that holds the GIL stops this thread too; faulthandler ends the process without it."""
        limit_s = min(self._batch_limit_s + self._lease_s, threading.TIMEOUT_MAX)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=2)  # Celery redirects sys.stderr

    def _keep(self, lane: Lane) -> None:
        in_hand, now_s = lane.in_hand, time.monotonic()
        computes = in_hand.calls and not in_hand.computed
        if computes and now_s - in_hand.since_s > self._batch_limit_s:
            self._end_hung(lane, f"a batch of {len(in_hand.calls)} requests")
        if lane.handover.runs_s(now_s) > self._batch_limit_s:
            self._end_hung(lane, "a task that Celery runs")
        try:
            lane.renew()
        except ModelaneError as exc:
            logger.warning("%s: %s", lane.name, exc, extra={"event": "renew_failed"})
        except Exception:  # the leases of all lanes hang on this loop
            logger.exception("%s: leases could not be renewed", lane.name, extra={"event": "renew_failed"})

    def _end_hung(self, lane: Lane, what: str) -> None:
        """A thread cannot be stopped, a process can: another one takes over what it holds."""
        logger.critical(
            "%s: %s takes more than %g s; this worker ends, its requests return to the queue",
            lane.name,
            what,
            self._batch_limit_s,
            extra={"event": "batch_hung", "queue": lane.name},
        )
        logging.shutdown()
        self._end(EXIT_HUNG)

    def _keep_fresh(self) -> None:
        while not self._closing.is_set():
            try:
                self._refresh(self)
            except ModelaneError as exc:
                logger.error("%s", exc, extra={"event": "refresh_failed"})  # noqa: TRY400  # it says all
            except Exception:  # new versions of all models hang on this loop
                logger.exception("the store could not be looked through", extra={"event": "refresh_failed"})
            self._ring.wait(self._refresh_s)
            self._ring.clear()
