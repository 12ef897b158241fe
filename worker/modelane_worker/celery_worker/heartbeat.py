"""The worker's heartbeat; it counts the requests that lanes compute as active tasks."""

from __future__ import annotations

from typing import Any

from celery.utils.sysinfo import load_average
from celery.worker import heartbeat
from celery.worker import state as worker_state
from celery.worker.consumer.heart import Heart


class LaneHeart(Heart):  # type: ignore[misc]  # Celery has no types
    """The consumer's step that starts the heartbeat."""

    def start(self, c: Any) -> None:
        c.heart = _Heart(c, self.heartbeat_interval)
        c.heart.start()


class _Heart(heartbeat.Heart):  # type: ignore[misc]
    def __init__(self, consumer: Any, interval_s: float | None) -> None:
        super().__init__(consumer.timer, consumer.event_dispatcher, interval_s)
        self._lanes = consumer.controller.lanes

    def _send(self, event: str, retry: bool = True) -> Any:
        if self._send_sent_signal is not None:
            self._send_sent_signal(sender=self)
        in_lanes = sum(len(lane.active.calls) for lane in self._lanes.lanes)
        return self.eventer.send(
            event,
            freq=self.interval,
            active=len(worker_state.active_requests) + in_lanes,
            processed=worker_state.all_total_count[0],
            loadavg=load_average(),
            retry=retry,
            **worker_state.SOFTWARE_INFO,
        )
