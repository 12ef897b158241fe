"""The application of ``celery -A modelane_training worker`` and ``celery -A modelane_training beat``.

The only module of the package that does its work at import: Celery looks for ``app`` here.
"""

from __future__ import annotations

import os

from celery import Celery

from modelane.settings import Settings
from modelane_training.trainer import retrain_task
from modelane_training.trainer.retrain_role import RetrainRole
from modelane_worker.celery_worker.app_factory import settings_of, worker_app


def build(settings: Settings) -> Celery:
    """Return a Celery application whose worker answers the queue ``modelane.retrain``."""
    app = worker_app(settings, RetrainRole(settings))
    app.conf.beat_scheduler = "modelane_training.trainer.beat_scheduler:RecipeScheduler"
    retrain_task.register(app, settings)
    return app


app = build(settings_of(os.environ))
