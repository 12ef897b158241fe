"""Celery's consumer, told about lanes: they are listed, added and cancelled like any other queue.

A lane is never consumed through kombu.  ``inspect active_queues``, Flower's "add consumer" and "cancel
consumer" and ``inspect active`` come here; everything else is Celery's own.
"""

from __future__ import annotations

import time
from typing import Any

from celery.worker import state as worker_state
from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control
from celery.worker.control import Panel
from kombu import Queue

from modelane_worker.lane import Lane
from modelane_worker.lanes import Lanes


class LaneConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """``worker_consumer`` of a worker whose bootstep has set ``controller.lanes``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        control = next(step for step in self.steps if isinstance(step, Control))
        node = control.box.node
        node.handlers = {
            **Panel.data,
            "active": self._active,
            "dump_active": self._active,
            "active_queues": self._active_queues,
        }

    @property
    def lanes(self) -> Lanes:
        lanes: Lanes = self.controller.lanes
        return lanes

    def add_task_queue(self, queue: str, *args: Any, **kwargs: Any) -> None:
        if self.controller.is_lane(queue):
            self.lanes.resume(queue)
        else:
            super().add_task_queue(queue, *args, **kwargs)

    def cancel_task_queue(self, queue: str) -> None:
        if self.controller.is_lane(queue):
            self.lanes.close(queue)
        else:
            super().cancel_task_queue(queue)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        # kombu may close its channel twice while unacknowledged messages are held, and then fails on the
        # client that the first time cleared.  The connection is gone either way; the worker need not be.
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            self.connection = None

    def _active(self, state: Any, safe: bool = False, **_: object) -> list[dict[str, Any]]:
        own = [request.info(safe=safe) for request in tuple(worker_state.active_requests)]
        return own + [info for lane in self.lanes.lanes for info in self._in_hand(lane)]

    def _in_hand(self, lane: Lane) -> list[dict[str, Any]]:
        in_hand = lane.in_hand
        began_s = time.time() - (time.monotonic() - in_hand.since_s)
        return [
            {
                "id": call.envelope.headers.id,
                "name": call.envelope.headers.task,
                "args": call.envelope.headers.argsrepr,
                "kwargs": call.envelope.headers.kwargsrepr,
                "type": call.envelope.headers.task,
                "hostname": self.hostname,
                "time_start": began_s,
                "acknowledged": False,
                "delivery_info": {"routing_key": lane.name, "exchange": ""},
                "worker_pid": self.pid,
            }
            for call in in_hand.calls
        ]

    def _active_queues(self, state: Any) -> list[dict[str, Any]]:
        own = list(self.task_consumer.queues) if self.task_consumer else []
        lanes = [Queue(name, exchange="", routing_key=name) for name in self.lanes.queues]
        return [dict(queue.as_dict(recurse=True)) for queue in own + lanes]
