"""Say how far a long request has come, to its caller and to Celery's monitors.  service → TELLING → Redis."""

from __future__ import annotations

import time

from modelane.broker.leased_queue import LeasedQueue
from modelane.protocol.result import write_progress
from modelane_worker.lanes.admission import Call
from modelane_worker.lanes.task_events import Events


class Telling:
    """For the requests of one lane.

    Args:
        queue: where they are leased.
        events: of the same worker.
        ttl_s: how long a result is kept.
    """

    def __init__(self, queue: LeasedQueue, events: Events, *, ttl_s: float) -> None:
        self._queue = queue
        self._events = events
        self._ttl_s = ttl_s

    def tell(self, call: Call, step: str, detail: str, *, is_news: bool = True) -> None:
        """Show it in place of the result that will come; ``is_news`` is False for what is only kept alive.

        Raises:
            BrokerUnavailable: nobody was told.
        """
        envelope = call.envelope
        if is_news:
            self._events.progress(call, f"{step}: {detail}")
            self._events.publish()
        if envelope.headers.ignore_result:
            return
        value = write_progress(envelope, {"step": step, "detail": detail}, time.time())
        self._queue.report_progress(
            call.tag, envelope.headers.id, value, ttl_s=self._ttl_s, reply_to=envelope.reply_to
        )
