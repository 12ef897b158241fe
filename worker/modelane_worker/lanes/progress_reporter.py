"""Report the progress of a long request, to its caller and to Celery's monitors."""

from __future__ import annotations

import time

from modelane.broker.leased_queue import LeasedQueue
from modelane.protocol.message import Envelope
from modelane.protocol.result import write_progress
from modelane_worker.lanes.task_events import TaskEvents


class ProgressReporter:
    """Reports the progress of the requests of one lane.

    Args:
        queue: where they are leased.
        events: of the same worker.
        ttl_s: how long a result is kept, in seconds.
    """

    def __init__(self, queue: LeasedQueue, events: TaskEvents, *, ttl_s: float) -> None:
        self._queue = queue
        self._events = events
        self._ttl_s = ttl_s

    def report(self, tag: bytes, envelope: Envelope, step: str, detail: str, *, is_news: bool = True) -> None:
        """Store the progress in place of the result, until that is there.

        Args:
            tag: lease of the request.
            envelope: of the request.
            step: short name of what is being done.
            detail: what a person wants to know about it.
            is_news: False to keep the last report from expiring; monitors get no event then.

        Raises:
            BrokerUnavailable: the caller does not see this report.
        """
        if is_news:
            self._events.progress(envelope, f"{step}: {detail}")
            self._events.publish()
        if envelope.headers.ignore_result:
            return
        value = write_progress(envelope, {"step": step, "detail": detail}, time.time())
        self._queue.report_progress(
            tag, envelope.headers.id, value, ttl_s=self._ttl_s, reply_to=envelope.reply_to
        )
