"""The Celery application of ``celery -A modelane_worker worker``, created when this module is imported."""

from __future__ import annotations

import os

from celery import Celery

from modelane.settings import Settings
from modelane_worker.celery_worker.app_factory import settings_of, worker_app
from modelane_worker.registry.store import Store
from modelane_worker.serving import predict_task
from modelane_worker.serving.models import Models
from modelane_worker.serving.predict_role import PredictRole


def build(settings: Settings) -> Celery:
    """Return a Celery application whose worker runs a lane for each model in the store."""
    models = Models(Store(settings.store_path), settings.trusted_keys_path)
    app = worker_app(settings, PredictRole(settings, models))
    predict_task.register(app, models, max_batch_rows=settings.max_batch_rows)
    return app


app = build(settings_of(os.environ))
