"""Modelane's Celery application: the one configuration that producers, workers, trainers and Flower share.

    from modelane.app import predict

    result = predict.delay("churn", rows)                    # or apply_async(…, priority=…, expires=…)
    chain(predict.s("churn", rows), other.s())()             # and group, chord, link, …

``predict``, ``retrain`` and their ``app`` are built from the environment (``MODELANE_*``) when they are first
imported, and connect when they first send; ``sender(settings)`` builds them from settings of your own.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu.serialization import register

from modelane import celery_tasks
from modelane.keys import DEFAULT_QUEUE, PREDICT_TASK, RETRAIN_TASK
from modelane.protocol import message, serializer
from modelane.settings import Settings

if TYPE_CHECKING:
    app: Celery
    predict: celery_tasks.Predict
    retrain: celery_tasks.Retrain

__all__ = ["app", "build", "predict", "retrain", "sender"]

SERIALIZER = "modelane"

#: What is built when it is asked for: name here → task, or none for the application itself.
_LAZY = {"app": None, "predict": PREDICT_TASK, "retrain": RETRAIN_TASK}


def build(settings: Settings, *, result_serializer: str = SERIALIZER) -> Celery:
    """A configured application without tasks.

    Args:
        settings: whose broker, prefix and result lifetime it uses.
        result_serializer: how tasks that run here through Celery's own tracer store their results: workers
            take ``json``, which every client reads; the default reads both forms.
    """
    register(
        SERIALIZER,
        serializer.dumps,
        serializer.loads,
        content_type=message.CONTENT_TYPE,
        content_encoding="binary",
    )
    app = Celery("modelane", set_as_current=False)
    transport = {"global_keyprefix": settings.prefix} if settings.prefix else {}
    backend = settings.broker_url if settings.has_lanes else settings.result_url or "rpc://"
    app.conf.update(
        broker_url=settings.broker_url,
        broker_transport_options=transport if settings.has_lanes else {},
        broker_connection_retry_on_startup=True,
        # What a replica, a full disk or a loading server answers passes; a worker that ended would not.
        broker_channel_error_retry=True,
        result_backend=backend,
        result_backend_transport_options=transport,
        result_backend_always_retry=True,
        result_expires=settings.result_ttl_s,
        result_serializer=result_serializer,
        # Never pickle: the same list guards tasks, remote control and events.
        accept_content=["json", SERIALIZER],
        task_default_queue=DEFAULT_QUEUE,
        task_routes=(route,),
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


def route(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *_: object, **__: object
) -> dict[str, Any] | None:
    """Celery's router: a prediction goes to its model's lane, a retraining to the trainers."""
    return celery_tasks.options_of(name, args or (), kwargs or {})


@lru_cache(maxsize=8)
def sender(settings: Settings) -> Celery:
    """The application that sends ``modelane.predict`` and ``modelane.retrain``; one for equal settings."""
    app = build(settings)
    celery_tasks.register(app, settings)
    return app


def __getattr__(name: str) -> Any:
    """``app``, ``predict`` and ``retrain``, made of the environment's settings when they are first wanted.

    Raises:
        SettingsError: a setting has a wrong value.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = sender(Settings.from_env(os.environ))
    return app.tasks[_LAZY[name]] if _LAZY[name] else app
