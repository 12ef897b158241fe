"""The bootstep that gives a Celery worker its lanes, from its start to its warm end.

A step of the worker, not of the consumer: Celery builds its consumer anew whenever the broker connection
breaks, and lanes look after their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any, Protocol

from celery import bootsteps
from celery.worker import state as worker_state

from modelane.broker.connection import connect
from modelane.broker.delayed_messages import DelayedMessages
from modelane.broker.leased_queue import LeasedQueue
from modelane.keys import QueueKeys
from modelane.settings import Settings
from modelane_worker.celery_worker.announcer import Announcer
from modelane_worker.celery_worker.revocations import Revoked, is_revoked
from modelane_worker.lanes.celery_handoff import Handover
from modelane_worker.lanes.crash_suspect import Suspicion
from modelane_worker.lanes.event_publisher import Herald
from modelane_worker.lanes.lane import Lane, Service
from modelane_worker.lanes.manager import Lanes
from modelane_worker.lanes.progress import Telling
from modelane_worker.lanes.task_events import Events
from modelane_worker.registry.card import Card
from modelane_worker.registry.held_versions import Holdings
from modelane_worker.registry.notify import Bell


class Role(Protocol):
    """What a worker is there for: predictions, or retraining."""

    @property
    def task(self) -> str:
        """The task that its lanes answer."""
        ...

    @property
    def settings(self) -> Settings:
        """What its lanes may take, and how long."""
        ...

    @property
    def batch_limit_s(self) -> float:
        """Seconds after which one batch counts as hung."""
        ...

    def is_lane(self, queue: str) -> bool: ...

    def service(self, queue: str, telling: Telling) -> Service: ...

    def select(self, names: Collection[str]) -> None:
        """Serve these models only: the command line's ``--models``."""

    def queues(self) -> list[str]:
        """Those that can be served now.

        Raises:
            ModelaneError: not possible to tell now; asked again later.
        """
        ...

    def known(self) -> list[str]:
        """Models that exist, whoever serves them.  Raises as :meth:`queues`."""
        ...

    def cards(self) -> list[Card]:
        """Of all versions that are held; a model's champion before its others."""
        ...


#: Seconds that the last events have to leave when a worker stops.
EVENTS_TIMEOUT_S = 5.0


def lanes_step(settings: Settings, role: Role) -> type[bootsteps.StartStopStep]:
    """A bootstep class for ``app.steps["worker"]``; :class:`LaneConsumer` builds on what it sets."""

    class LanesStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = "Lanes"
        requires = frozenset({"celery.worker.components:Pool"})

        def create(self, worker: Any) -> None:
            client = connect(settings)
            self.events = Events(
                worker.app.clock.forward,
                Herald(connect(settings), settings.prefix, worker.hostname),
                worker.hostname,
                lambda: _wants_events(worker),
            )
            worker.revoked = Revoked(client, settings.prefix)
            holdings = Holdings(client, settings.prefix)
            worker.scheduled = lambda queue: DelayedMessages(client, QueueKeys(queue, settings.prefix))
            worker.is_lane = role.is_lane
            announcer = Announcer(client, settings.prefix)
            worker.lanes = self.lanes = Lanes(
                _lane_opener(worker, settings, role, self.events, Suspicion(client, settings.prefix)),
                lease_s=settings.lease_s,
                batch_limit_s=role.batch_limit_s,
                refresh=lambda lanes: _refresh(lanes, role, worker.revoked, announcer, holdings),
                refresh_s=settings.store_poll_s,
            )
            self.bell = Bell(settings, on_ring=self.lanes.ring, on_revoked=worker_state.revoked.update)

        def start(self, worker: Any) -> None:
            self.events.start()
            self.lanes.start()
            self.bell.start()

        def stop(self, worker: Any) -> None:
            self.bell.close()
            self.lanes.drain()
            self.events.close(EVENTS_TIMEOUT_S)

        def info(self, worker: Any) -> dict[str, Any]:
            """Shown by ``inspect stats``."""
            return {"lanes": list(self.lanes.queues)}

    return LanesStep


def _wants_events(worker: Any) -> bool:
    """Which of ``enable_events`` and ``disable_events`` came last; while Celery connects, nobody knows."""
    dispatcher = getattr(worker.consumer, "event_dispatcher", None)
    return dispatcher is None or not dispatcher.groups or "task" in dispatcher.groups


def _refresh(lanes: Lanes, role: Role, revoked: Revoked, announcer: Announcer, holdings: Holdings) -> None:
    # Before the first lane opens: what was revoked while no worker ran is not begun.
    revoked.learn()
    announcer.know(role.known())  # before they are loaded, which takes its time
    for queue in role.queues():
        lanes.open(queue)
    cards = role.cards()
    holdings.keep({(card.model, card.version) for card in cards})
    announcer.announce(cards)


def _lane_opener(
    worker: Any,
    settings: Settings,
    role: Role,
    events: Events,
    suspicion: Suspicion,
) -> Callable[[str], Lane]:
    counting = threading.Lock()  # lanes count at the same time

    def count(n: int) -> None:
        with counting:
            worker_state.total_count[role.task] += n
            worker_state.all_total_count[0] += n

    def open_lane(queue: str) -> Lane:
        # A connection of its own: one lane waits in a blocking command.
        leased = LeasedQueue(connect(settings), QueueKeys(queue, settings.prefix), suspicion.process)
        return Lane(
            queue,
            queue=leased,
            service=role.service(queue, Telling(leased, events, ttl_s=settings.result_ttl_s)),
            settings=role.settings,
            events=events,
            handover=Handover(role.task, leased, worker, role.settings),
            suspicion=suspicion,
            is_revoked=is_revoked,
            count=count,
        )

    return open_lane
