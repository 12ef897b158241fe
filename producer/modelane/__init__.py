"""Predictions from scikit-learn models, served from a queue.

    from modelane import Client

    with Client() as client:
        answer = client.predict("breast-cancer", rows)

:mod:`modelane.errors` lists the errors and what to do about each, :mod:`modelane.settings` the settings, and
:mod:`modelane.app` is for services that send predictions with Celery's own client.
"""

from __future__ import annotations

from modelane.client import Client
from modelane.client.answer import Answer, Retrained
from modelane.client.prediction import Prediction
from modelane.errors import ModelaneError, NotAnswered, PredictionFailed, RequestError, TryLater
from modelane.settings import Settings

__all__ = [
    "Answer",
    "Client",
    "ModelaneError",
    "NotAnswered",
    "Prediction",
    "PredictionFailed",
    "RequestError",
    "Retrained",
    "Settings",
    "TryLater",
]
