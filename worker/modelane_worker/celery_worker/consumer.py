"""Celery's consumer with lanes: they are listed, added and cancelled like any other queue.

The queue of a lane is never consumed through kombu; all other queues are.
"""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control

from modelane_worker.celery_worker.remote_control import LanePanel
from modelane_worker.lanes.manager import LaneManager

_HEART = "celery.worker.consumer.heart:Heart"


class LaneConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """The ``worker_consumer`` of a worker with :func:`modelane_worker.celery_worker.bootstep.lanes_step`."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps = (
            *(step for step in Consumer.Blueprint.default_steps if step != _HEART),
            "modelane_worker.celery_worker.heartbeat:LaneHeart",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Mingle delays every start by a second to learn revoked ids from other workers; ours are on Redis
        # (revocations.py). Gossip synchronises the logical clocks, which takes no time.
        super().__init__(*args, **kwargs | {"without_mingle": True})
        worker = self.controller
        panel = LanePanel(self, worker.lanes, worker.scheduled, worker.revocations)
        for step in self.steps:
            if isinstance(step, Control):  # absent if remote control is disabled
                step.box.node.handlers = panel.handlers

    @property
    def lanes(self) -> LaneManager:
        lanes: LaneManager = self.controller.lanes
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
        # kombu may close its channel twice while it holds unacknowledged messages; the second time fails
        # because the first one has cleared the client. That is no reason to end the worker.
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            self.connection = None
