"""The bootstep that gives a Celery worker its lanes, from its start to its warm shutdown.

A step of the worker, not of the consumer: Celery creates a new consumer whenever the connection to the broker
breaks, and lanes look after their own connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state as worker_state

from modelane.broker.connection import connect
from modelane.broker.delayed_messages import DelayedMessages
from modelane.broker.leased_queue import LeasedQueue
from modelane.keys import QueueKeys
from modelane.settings import Settings
from modelane_worker.celery_worker.listener import NotificationListener
from modelane_worker.celery_worker.presence import Presence
from modelane_worker.celery_worker.revocations import Revocations, is_revoked
from modelane_worker.celery_worker.role import Role
from modelane_worker.lanes.celery_handoff import Handoffs
from modelane_worker.lanes.crash_suspect import CrashSuspect
from modelane_worker.lanes.event_publisher import EventPublisher
from modelane_worker.lanes.lane import Lane
from modelane_worker.lanes.manager import LaneManager
from modelane_worker.lanes.progress_reporter import ProgressReporter
from modelane_worker.lanes.task_events import TaskEvents

#: Seconds that publishing the last events may take when a worker stops.
EVENTS_TIMEOUT_S = 5.0


def lanes_step(settings: Settings, role: Role) -> type[bootsteps.StartStopStep]:
    """Return a bootstep class for ``app.steps["worker"]``.

    It sets attributes of the worker that :class:`modelane_worker.celery_worker.consumer.LaneConsumer` uses.
    """

    class LanesStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = "Lanes"
        requires = frozenset({"celery.worker.components:Pool"})

        def create(self, worker: Any) -> None:
            client = connect(settings)
            publisher = EventPublisher(connect(settings), settings.prefix, worker.hostname)
            self.events = TaskEvents(
                worker.app.clock.forward, publisher, worker.hostname, lambda: _wants_events(worker)
            )
            worker.is_lane = role.is_lane
            worker.scheduled = lambda queue: DelayedMessages(client, QueueKeys(queue, settings.prefix))
            worker.revocations = revocations = Revocations(client, settings.prefix)
            presence = Presence(client, settings.prefix)
            worker.lanes = self.lanes = LaneManager(
                _lane_opener(worker, settings, role, self.events, CrashSuspect(client, settings.prefix)),
                lease_s=settings.lease_s,
                batch_limit_s=role.batch_limit_s,
                refresh=lambda lanes: _refresh(lanes, role, revocations, presence),
                refresh_s=settings.store_poll_s,
            )
            self.listener = NotificationListener(
                settings, on_alias_moved=self.lanes.refresh_soon, on_revoked=worker_state.revoked.update
            )

        def start(self, worker: Any) -> None:
            self.events.start()
            self.lanes.start()
            self.listener.start()

        def stop(self, worker: Any) -> None:
            self.listener.close()
            self.lanes.drain()
            self.events.close(EVENTS_TIMEOUT_S)

        def info(self, worker: Any) -> dict[str, Any]:
            """Return what ``inspect stats`` shows."""
            return {"lanes": list(self.lanes.queues)}

    return LanesStep


def _wants_events(worker: Any) -> bool:
    """Return whether ``enable_events`` or ``disable_events`` came last; True while Celery still connects."""
    dispatcher = getattr(worker.consumer, "event_dispatcher", None)
    return dispatcher is None or not dispatcher.groups or "task" in dispatcher.groups


def _refresh(lanes: LaneManager, role: Role, revocations: Revocations, presence: Presence) -> None:
    # Before the first lane opens: what was revoked while no worker ran must not be served.
    revocations.learn()
    known = role.known()
    presence.update(known, role.cards())  # before new models are loaded, which takes some time
    for queue in role.queues():
        lanes.open(queue)
    presence.update(known, role.cards())


def _lane_opener(
    worker: Any,
    settings: Settings,
    role: Role,
    events: TaskEvents,
    suspect: CrashSuspect,
) -> Callable[[str], Lane]:
    counting = threading.Lock()  # several lanes count at the same time

    def count(n: int) -> None:
        with counting:
            worker_state.total_count[role.task] += n
            worker_state.all_total_count[0] += n

    def open_lane(queue: str) -> Lane:
        # A connection of its own: a lane waits in a blocking command.
        leased = LeasedQueue(connect(settings), QueueKeys(queue, settings.prefix), suspect.process)
        return Lane(
            queue,
            queue=leased,
            service=role.service(queue, ProgressReporter(leased, events, ttl_s=settings.result_ttl_s)),
            settings=role.settings,
            events=events,
            handoffs=Handoffs(role.task, leased, worker, role.settings),
            suspect=suspect,
            is_revoked=is_revoked,
            count=count,
        )

    return open_lane
