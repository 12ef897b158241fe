"""The worker's Celery application: ``celery -A modelane_worker worker``.  Builds at import, alone."""

from __future__ import annotations

import os

import click
from celery import Celery

from modelane import app as modelane_app
from modelane.settings import Settings
from modelane_worker import tasks
from modelane_worker.live import Models
from modelane_worker.role import PredictRole
from modelane_worker.step import lanes_step
from modelane_worker.store import Store


def build(settings: Settings) -> Celery:
    """A Celery application whose worker runs the lanes of the models in the store."""
    app = modelane_app.build(settings, result_serializer="json")
    app.conf.update(
        worker_consumer="modelane_worker.consumer:LaneConsumer",
        # Lanes do the work, in threads; the pool runs the odd task that Celery traces itself.
        worker_pool="threads",
        worker_concurrency=1,
    )
    models = Models(Store(settings.store_path), settings.trusted_keys_path)
    tasks.register(app, models, max_batch_rows=settings.max_batch_rows)
    app.user_options["worker"].add(
        click.Option(["--models"], help="Serve these models only, separated by commas.")
    )
    app.steps["worker"].add(lanes_step(settings, PredictRole(settings, models)))
    return app


app = build(Settings.from_env(os.environ))
