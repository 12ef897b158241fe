"""The same models in an ordinary Celery task: ``celery -A benchmarks.stock_app worker``.

The application is built at import. In its favour, it sends no events, logs no tasks, and does not check its
input.
"""

from __future__ import annotations

import os

import numpy as np
from celery import Celery

from benchmarks import models
from modelane.settings import Settings

QUEUE = "stock"
TASK = "benchmarks.predict"


def build(settings: Settings) -> Celery:
    estimators = models.load(settings)
    app = Celery("stock", broker=settings.broker_url, backend=settings.broker_url)
    app.conf.task_default_queue = QUEUE

    def predict(model: str, rows: list[list[float]]) -> list[list[float]]:
        answers: list[list[float]] = getattr(estimators[model], models.METHOD)(np.asarray(rows)).tolist()
        return answers

    app.task(name=TASK)(predict)
    return app


app = build(Settings.from_env(os.environ))
