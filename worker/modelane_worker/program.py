"""The Celery application behind a worker program: with lanes on Redis, without them on another broker.

settings, role → PROGRAM → ``celery -A … worker``.
"""

from __future__ import annotations

from typing import Any

import click
from celery import Celery, bootsteps

from modelane import app as modelane_app
from modelane.settings import Settings
from modelane_worker.queues import queues_step
from modelane_worker.step import Role, lanes_step


def worker_app(settings: Settings, role: Role) -> Celery:
    """A Celery application whose workers fill a role."""
    app = modelane_app.build(settings, result_serializer="json")
    # Lanes do the work, in threads; the pool runs what Celery consumes itself.
    app.conf.update(worker_pool="threads", worker_concurrency=1)
    app.user_options["worker"].add(
        click.Option(["--models"], help="Serve these models only, separated by commas.")
    )
    app.steps["worker"].add(_select_step(role))
    if settings.has_lanes:
        app.conf.worker_consumer = "modelane_worker.consumer:LaneConsumer"
        app.steps["worker"].add(lanes_step(settings, role))
    else:
        app.steps["consumer"].add(queues_step(role, refresh_s=settings.store_poll_s))
    return app


def _select_step(role: Role) -> type[bootsteps.Step]:
    class SelectStep(bootsteps.Step):  # type: ignore[misc]  # Celery has no types
        def __init__(self, worker: Any, models: str | None = None, **kwargs: Any) -> None:
            super().__init__(worker, **kwargs)
            if models:
                role.select([name.strip() for name in models.split(",") if name.strip()])

    return SelectStep
