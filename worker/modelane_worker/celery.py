"""The worker's Celery application: ``celery -A modelane_worker worker``.  Builds at import, alone."""

from __future__ import annotations

import os

from celery import Celery

from modelane.settings import Settings
from modelane_worker import tasks
from modelane_worker.live import Models
from modelane_worker.program import settings_of, worker_app
from modelane_worker.role import PredictRole
from modelane_worker.store import Store


def build(settings: Settings) -> Celery:
    """A Celery application whose worker runs the lanes of the models in the store."""
    models = Models(Store(settings.store_path), settings.trusted_keys_path)
    app = worker_app(settings, PredictRole(settings, models))
    tasks.register(app, models, max_batch_rows=settings.max_batch_rows)
    return app


app = build(settings_of(os.environ))
