"""Celery's consumer, told about lanes: they are listed, added and cancelled like any other queue.

A lane is never consumed through kombu; everything that is no lane is Celery's own.
"""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control

from modelane_worker.celery_worker.remote_control import LanePanel
from modelane_worker.lanes.manager import Lanes

_HEART = "celery.worker.consumer.heart:Heart"


class LaneConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """``worker_consumer`` of a worker that has :func:`modelane_worker.celery_worker.bootstep.lanes_step`."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps = (
            *(step for step in Consumer.Blueprint.default_steps if step != _HEART),
            "modelane_worker.celery_worker.heartbeat:LaneHeart",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Mingle would hold up every start by a second, to learn revoked ids from other workers; ours lie on
        # Redis (revoked.py).  Logical clocks are kept in step by gossip, which costs no time.
        super().__init__(*args, **kwargs | {"without_mingle": True})
        worker = self.controller
        panel = LanePanel(self, worker.lanes, worker.scheduled, worker.revoked)
        for step in self.steps:
            if isinstance(step, Control):  # not there if remote control is switched off
                step.box.node.handlers = panel.handlers

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
