"""Manage the lanes of one worker: open and close them, renew their leases, end the worker if one hangs."""

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

#: Exit status of a worker with a hung batch: ``EX_SOFTWARE``.
EXIT_HUNG = 70


class LaneManager:
    """Starts, watches and stops lanes. Thread-safe.

    Args:
        open_lane: creates the lane of a queue; it is started here.
        lease_s: of the lanes, in seconds; renewed three times in it.
        batch_limit_s: a batch that computes for longer ends the process; its leases then expire.
        refresh: called every ``refresh_s`` with this object, to open lanes that have become possible.
        refresh_s: seconds.
        end: ends the process immediately.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        open_lane: Callable[[str], Lane],
        *,
        lease_s: float,
        batch_limit_s: float,
        refresh: Callable[[LaneManager], None],
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
        self._refresh_due = threading.Event()
        self._threads = [
            threading.Thread(target=loop, name=f"lanes-{name}", daemon=True)
            for name, loop in (("renew", self._renew_leases), ("refresh", self._refresh_lanes))
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
        """Start the lane of a queue, unless it runs already or an operator has closed it."""
        with self._lock:
            if queue in self._running or queue in self._paused or self._closing.is_set():
                return
            self._running[queue] = lane = self._open_lane(queue)
            lane.start()
        logger.info("lane %s is open", queue, extra={"event": "lane_open", "queue": queue})

    def resume(self, queue: str) -> None:
        """Open a lane, also if :meth:`close` has closed it."""
        self._paused.discard(queue)
        self.open(queue)

    def close(self, queue: str) -> None:
        """Let a lane finish its batch and reserve no more, until :meth:`resume`."""
        with self._lock:
            self._paused.add(queue)
            lane = self._running.pop(queue, None)
        if lane is not None:
            self._retired.append(lane)
            lane.stop()
            logger.info("lane %s is closed", queue, extra={"event": "lane_closed", "queue": queue})

    def refresh_soon(self) -> None:
        """Refresh without waiting for the rest of ``refresh_s``: the alias of a model has moved."""
        self._refresh_due.set()

    def drain(self) -> None:
        """Stop all lanes warmly: no further batch is reserved, reserved ones are served and settled."""
        with self._lock:  # from here on no lane is opened
            self._closing.set()
        self._refresh_due.set()
        lanes = (*self.lanes, *self._retired)
        for lane in lanes:
            lane.stop(give_back=True)
        for lane in lanes:
            lane.join()
        self._drained.set()
        for thread in self._threads:
            thread.join()

    def _renew_leases(self) -> None:
        self._postpone_exit()
        while not self._drained.wait(self._lease_s / 3):
            self._postpone_exit()
            self._retired = [lane for lane in self._retired if not lane.join(0)]
            for lane in (*self.lanes, *self._retired):
                self._watch(lane)

        faulthandler.cancel_dump_traceback_later()

    def _postpone_exit(self) -> None:
        """Have faulthandler end the process unless this is called again in time.

        A predict that holds the GIL stops this thread too; faulthandler's own thread works without the GIL.
        """
        limit_s = min(self._batch_limit_s + self._lease_s, threading.TIMEOUT_MAX)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=2)  # Celery redirects sys.stderr

    def _watch(self, lane: Lane) -> None:
        """Renew the leases of a lane, or end the worker if the lane hangs."""
        active, now_s = lane.active, time.monotonic()
        computes = active.calls and not active.is_computed
        if computes and now_s - active.since_s > self._batch_limit_s:
            self._end_hung(lane, f"a batch of {len(active.calls)} requests")
        if lane.handoffs.longest_run_s(now_s) > self._batch_limit_s:
            self._end_hung(lane, "a task that Celery runs")
        try:
            lane.renew()
        except ModelaneError as exc:
            logger.warning(
                "%s: leases were not renewed, retrying: %s", lane.name, exc, extra={"event": "renew_failed"}
            )
        except Exception:  # the leases of all lanes depend on this loop
            logger.exception("%s: leases could not be renewed", lane.name, extra={"event": "renew_failed"})

    def _end_hung(self, lane: Lane, what: str) -> None:
        """End the process, as a thread cannot be stopped; another worker takes over the messages."""
        logger.critical(
            "%s: %s has run for more than %g s; this worker exits and its requests return to the queue",
            lane.name,
            what,
            self._batch_limit_s,
            extra={"event": "batch_hung", "queue": lane.name},
        )
        logging.shutdown()
        self._end(EXIT_HUNG)

    def _refresh_lanes(self) -> None:
        while not self._closing.is_set():
            try:
                self._refresh(self)
            except ModelaneError as exc:
                logger.error(  # noqa: TRY400  the error says everything
                    "the lanes could not be refreshed, retrying in %g s: %s",
                    self._refresh_s,
                    exc,
                    extra={"event": "refresh_failed"},
                )
            except Exception:  # new versions of all models depend on this loop
                logger.exception("the lanes could not be refreshed", extra={"event": "refresh_failed"})
            self._refresh_due.wait(self._refresh_s)
            self._refresh_due.clear()
