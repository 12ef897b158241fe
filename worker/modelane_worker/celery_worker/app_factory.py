"""Create the Celery application of a worker program: with lanes on Redis, without them on another broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from celery import Celery, bootsteps

from modelane import app as modelane_app
from modelane.errors import BadInput, SettingsError
from modelane.keys import check_model_name
from modelane.settings import Settings
from modelane_worker.celery_worker.bootstep import lanes_step
from modelane_worker.celery_worker.plain_queues import queues_step
from modelane_worker.celery_worker.role import Role


def worker_app(settings: Settings, role: Role) -> Celery:
    """Return a Celery application whose workers fill a role."""
    app = modelane_app.build(settings, result_serializer="json")
    # Lanes have threads of their own; the pool runs only what Celery consumes itself.
    app.conf.update(worker_pool="modelane_worker.celery_worker.thread_pool:TaskPool", worker_concurrency=1)
    app.user_options["worker"].add(
        click.Option(
            ["--models"], callback=_names, help="Comma-separated names of the models to serve. Default: all."
        )
    )
    app.steps["worker"].add(_select_step(role))
    if settings.has_lanes:
        app.conf.worker_consumer = "modelane_worker.celery_worker.consumer:LaneConsumer"
        app.steps["worker"].add(lanes_step(settings, role))
    else:
        app.steps["consumer"].add(queues_step(role, refresh_s=settings.store_poll_s))
    return app


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Return the settings; a wrong one ends the program, for a module that ``celery -A`` imports."""
    try:
        return Settings.from_env(environ)
    except SettingsError as error:
        raise SystemExit(f"Error: {error}") from None


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
    try:
        return [check_model_name(name.strip()) for name in value.split(",")] if value else []
    except BadInput as error:
        raise click.BadParameter(str(error)) from error


def _select_step(role: Role) -> type[bootsteps.Step]:
    class SelectStep(bootsteps.Step):  # type: ignore[misc]  # Celery has no types
        def __init__(self, worker: Any, models: Sequence[str] = (), **kwargs: Any) -> None:
            super().__init__(worker, **kwargs)
            if models:
                role.select(models)

    return SelectStep
