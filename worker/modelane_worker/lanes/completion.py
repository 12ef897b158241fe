"""What becomes of a batch that was answered: each outcome stored, told, given back, or buried.

lane → ENDING → settling, events.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

from modelane.broker.leased_queue import LeasedQueue, Settlement
from modelane.errors import BrokerUnavailable, ModelaneError, TooLarge, TryLater
from modelane.protocol import result
from modelane.settings import Settings
from modelane_worker.lanes.admission import Call, Outcome, Refused
from modelane_worker.lanes.settlement import Settling
from modelane_worker.lanes.task_events import Events

logger = logging.getLogger(__name__)

#: Seconds before the first retry of a request that met a passing fault; doubles with each attempt.
RETRY_DELAY_S = 1.0


class Ending:
    """Of one lane, whose thread calls it.

    Args:
        queue: the lane's.
        settings: how long an answer is kept.
        events: tells Celery's monitors.
        wait: waits so many seconds; True if the lane shall not wait any longer.
    """

    def __init__(
        self, queue: LeasedQueue, settings: Settings, events: Events, wait: Callable[[float], bool]
    ) -> None:
        self._name = queue.keys.queue
        self._queue = queue
        self._settings = settings
        self._events = events
        self._settling = Settling(queue, wait)

    def end(
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

        def too_large(position: int) -> Settlement:
            item = ends[position][0]
            error = TooLarge(
                f"Redis does not take an answer of {len(settlements[position].value)} bytes: send fewer rows"
            )
            ends[position] = item, error
            return self._settlement(item, error, now_s)

        settled = self._settling.settle(settlements, too_large)
        self._warn("fenced", settled.fenced, "came after their lease had run out; another worker's stand")
        self._warn("settle_refused", settled.refused, "are refused by Redis; they are computed again")
        lost = settled.fenced | settled.refused
        answered = [end for position, end in enumerate(ends) if position not in lost]
        self._events.ended(answered, took_s)
        self._events.publish()
        logger.debug(
            "%s: %d answered in %.1f ms",
            self._name,
            len(answered),
            took_s * 1e3,
            extra={"event": "batch_done", "queue": self._name, "n_requests": len(ends)},
        )

    def _warn(self, event: str, positions: set[int], why: str) -> None:
        if n := len(positions):
            facts = {"event": event, "queue": self._name, "n_requests": n}
            logger.warning("%s: %d answers %s", self._name, n, why, extra=facts)

    def _retry(self, call: Call, error: TryLater) -> None:
        """Give it back with back-off and jitter; it counts as an attempt, so it cannot go on for ever."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311  # spreads retries, guards nothing
        with suppress(BrokerUnavailable):  # then its lease runs out, to the same end
            delay_s = RETRY_DELAY_S * 2**call.envelope.attempts * jitter
            self._queue.release([call.tag], delay_s=delay_s, counts=True)
        self._events.retried(call, error)

    def _settlement(self, item: Call | Refused, outcome: Outcome, now_s: float) -> Settlement:
        envelope = item.envelope
        if envelope is None:  # nobody can be told
            return Settlement(item.tag, f"?{item.tag.decode()}", b"", 0, bury_reason=str(outcome))
        buried = str(outcome) if isinstance(item, Refused) and item.bury else ""
        wanted = not envelope.headers.ignore_result
        if isinstance(outcome, ModelaneError):
            value = result.write_failure(envelope, outcome, now_s)
        else:
            value = result.write_result(envelope, outcome, now_s)
        return Settlement(
            item.tag,
            envelope.headers.id,
            value,
            self._settings.result_ttl_s if wanted else 0,
            envelope.reply_to,
            buried,
        )
