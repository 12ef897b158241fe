"""The bootstep that gives a Celery worker its lanes, from its start to its warm end.

A step of the worker, not of the consumer: Celery builds its consumer anew whenever the broker connection
breaks, and lanes look after their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, Protocol

import click
from celery import Celery, bootsteps
from celery.worker import state as worker_state

from modelane import app as modelane_app
from modelane.connection import connect
from modelane.keys import QueueKeys
from modelane.queue import LeasedQueue
from modelane.settings import Settings
from modelane_worker.bell import Bell
from modelane_worker.events import Events
from modelane_worker.handover import Handover
from modelane_worker.lane import Lane, Service
from modelane_worker.lanes import Lanes
from modelane_worker.limits import Limits


class Role(Protocol):
    """What a worker is there for: predictions, or retraining."""

    @property
    def task(self) -> str:
        """The task that its lanes answer."""
        ...

    @property
    def limits(self) -> Limits: ...

    @property
    def batch_limit_s(self) -> float:
        """Seconds after which one batch counts as hung."""
        ...

    def is_lane(self, queue: str) -> bool: ...

    def service(self, queue: str) -> Service: ...

    def select(self, names: Collection[str]) -> None:
        """Serve these models only: the command line's ``--models``."""

    def refresh(self, lanes: Lanes) -> None:
        """Open the lanes that are possible now.

        Raises:
            ModelaneError: not possible to tell now; asked again later.
        """


#: Seconds that the last events have to leave when a worker stops.
EVENTS_TIMEOUT_S = 5.0


def lane_worker(settings: Settings, role: Role) -> Celery:
    """A Celery application whose workers run a role's lanes."""
    app = modelane_app.build(settings, result_serializer="json")
    app.conf.update(
        worker_consumer="modelane_worker.consumer:LaneConsumer",
        # Lanes do the work, in threads; the pool runs the odd task that Celery traces itself.
        worker_pool="threads",
        worker_concurrency=1,
    )
    app.user_options["worker"].add(
        click.Option(["--models"], help="Serve these models only, separated by commas.")
    )
    app.steps["worker"].add(lanes_step(settings, role))
    return app


def lanes_step(settings: Settings, role: Role) -> type[bootsteps.StartStopStep]:
    """A bootstep class for ``app.steps["worker"]``."""

    class LanesStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = "Lanes"
        requires = frozenset({"celery.worker.components:Pool"})

        def __init__(self, worker: Any, models: str | None = None, **kwargs: Any) -> None:
            super().__init__(worker, **kwargs)
            if models:
                role.select([name.strip() for name in models.split(",") if name.strip()])

        def start(self, worker: Any) -> None:
            self.events = Events(worker.app, worker.hostname)
            self.events.start()
            self.lanes = Lanes(
                _lane_opener(worker, settings, role, self.events),
                lease_s=settings.lease_s,
                batch_limit_s=role.batch_limit_s,
                refresh=role.refresh,
                refresh_s=settings.store_poll_s,
            )
            worker.lanes = self.lanes
            worker.is_lane = role.is_lane
            self.lanes.start()
            self.bell = Bell(settings, on_ring=self.lanes.ring)
            self.bell.start()

        def stop(self, worker: Any) -> None:
            self.bell.close()
            self.lanes.drain()
            self.events.close(EVENTS_TIMEOUT_S)

        def info(self, worker: Any) -> dict[str, Any]:
            """Shown by ``inspect stats``."""
            return {"lanes": list(self.lanes.queues)}

    return LanesStep


def limits(settings: Settings, **changed: int) -> Limits:
    """The settings of the same names."""
    names = [field.name for field in fields(Limits)]
    return Limits(**{name: getattr(settings, name) for name in names} | changed)


def _lane_opener(
    worker: Any,
    settings: Settings,
    role: Role,
    events: Events,
) -> Callable[[str], Lane]:
    def count(n: int) -> None:
        worker_state.total_count[role.task] += n
        worker_state.all_total_count[0] += n

    def open_lane(queue: str) -> Lane:
        # A connection of its own: one lane waits in a blocking command.
        leased = LeasedQueue(connect(settings), QueueKeys(queue, settings.prefix))
        limits = role.limits
        return Lane(
            queue,
            queue=leased,
            service=role.service(queue),
            limits=limits,
            events=events,
            handover=Handover(
                role.task, leased, worker, lease_s=limits.lease_s, most=limits.max_batch_requests
            ),
            is_revoked=worker_state.revoked.__contains__,
            count=count,
        )

    return open_lane
