"""Settle a batch that was served: store each result, retry or bury what has none, then tell the monitors."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerUnavailable, TooLarge, TryLater
from modelane.settings import Settings
from modelane_worker.lanes.admission import Refused
from modelane_worker.lanes.service import Call, Result
from modelane_worker.lanes.settlement import settlement_of
from modelane_worker.lanes.settlement_writer import SettlementWriter
from modelane_worker.lanes.task_events import TaskEvents

logger = logging.getLogger(__name__)

#: Seconds before the first retry of a request that met a transient fault; doubles with each attempt.
RETRY_DELAY_S = 1.0


class Settler:
    """Settles the batches of one lane, in the lane's thread.

    Args:
        queue: of the lane.
        settings: how long a result is kept.
        events: for Celery's monitors.
        wait: waits this many seconds; returns True if the lane stops and must not wait any longer.
    """

    def __init__(
        self, queue: LeasedQueue, settings: Settings, events: TaskEvents, wait: Callable[[float], bool]
    ) -> None:
        self._name = queue.keys.queue
        self._queue = queue
        self._ttl_s = settings.result_ttl_s
        self._events = events
        self._writer = SettlementWriter(queue, wait)

    def settle(
        self, calls: Sequence[Call[Any]], results: Sequence[Result], refused: list[Refused], took_s: float
    ) -> None:
        """Store every result, then send its event; a result whose lease was lost gets no event.

        Args:
            calls: that were served.
            results: result i is of call i.
            refused: messages of the same batch that were not served.
            took_s: wall time of serving the batch, seconds.

        Raises:
            BrokerUnavailable: Redis is unavailable and the lane stops; the leases expire.
        """
        ended: list[tuple[Call[Any] | Refused, Result]] = [(item, item.error) for item in refused]
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, TryLater):
                self._retry(call, result)
            else:
                ended.append((call, result))
        if not ended:
            return
        now_s = time.time()
        settlements = [self._settlement(item, result, now_s) for item, result in ended]

        def too_large(position: int) -> Settlement:
            item = ended[position][0]
            n_bytes = len(settlements[position].value)
            error = TooLarge(
                f"Redis cannot store the answer of {n_bytes} bytes: send fewer rows in one request"
            )
            ended[position] = item, error
            return self._settlement(item, error, now_s)

        written = self._writer.write(settlements, too_large)
        self._warn("fenced", written.fenced, "are dropped: their leases expired and another worker has them")
        self._warn("settle_refused", written.refused, "are refused by Redis and will be computed again")
        lost = written.fenced | written.refused
        settled = [end for position, end in enumerate(ended) if position not in lost]
        self._events.ended(settled, took_s)
        self._events.publish()
        logger.debug(
            "%s: %d requests answered in %.1f ms",
            self._name,
            len(settled),
            took_s * 1e3,
            extra={"event": "batch_done", "queue": self._name, "n_requests": len(ended)},
        )

    def _settlement(self, item: Call[Any] | Refused, result: Result, now_s: float) -> Settlement:
        bury_reason = str(result) if isinstance(item, Refused) and item.bury else ""
        return settlement_of(
            item.tag, item.envelope, result, now_s=now_s, ttl_s=self._ttl_s, bury_reason=bury_reason
        )

    def _warn(self, event: str, positions: set[int], what: str) -> None:
        if n := len(positions):
            facts = {"event": event, "queue": self._name, "n_requests": n}
            logger.warning("%s: %d results %s", self._name, n, what, extra=facts)

    def _retry(self, call: Call[Any], error: TryLater) -> None:
        """Release it with back-off and jitter; it counts as an attempt, so that retries come to an end."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311  # spreads retries, not for security
        with suppress(BrokerUnavailable):  # then its lease expires, which also counts as an attempt
            delay_s = RETRY_DELAY_S * 2**call.envelope.attempts * jitter
            self._queue.release([call.tag], delay_s=delay_s, counts=True)
        self._events.retried(call, error)
