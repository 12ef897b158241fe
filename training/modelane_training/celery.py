"""The trainer's Celery application: ``celery -A modelane_training worker``.  Builds at import, alone."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from modelane.keys import RETRAIN_TASK
from modelane.settings import Settings
from modelane_training.service import TrainRole, retrain_model
from modelane_worker.program import settings_of, worker_app


def build(settings: Settings) -> Celery:
    """A Celery application whose worker trains what is asked for on the queue ``modelane.retrain``."""

    def retrain(model: str) -> dict[str, Any]:
        return retrain_model(settings, model)

    app = worker_app(settings, TrainRole(settings))
    app.task(name=RETRAIN_TASK, shared=False)(retrain)
    return app


app = build(settings_of(os.environ))
