"""Modelane's Celery application, whose configuration services, workers, trainers and Flower share.

Send the tasks like any other task of Celery::

    from modelane.app import predict

    result = predict.delay("churn", rows)                    # or apply_async(…, priority=…, expires=…)
    chain(predict.s("churn", rows), other.s())()             # also group, chord, link, …

Attributes:
    app (celery.Celery): the application that sends the two tasks.
    predict (celery.Task): the task ``modelane.predict``; arguments ``(model, rows, *, method="predict",
        columns=None, params=None, version=None)``. It sends itself to the model's lane.
    retrain (celery.Task): the task ``modelane.retrain``; arguments ``(model,)``. It sends itself to the
        trainers.

``app``, ``predict`` and ``retrain`` are built from the environment (``MODELANE_*``) when they are first
imported, and connect when they first send. To build them from other settings, use :func:`sender`::

    predict = sender(settings).tasks["modelane.predict"]
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

#: Attributes of this module that are built on first use: name → task, or None for the application itself.
_LAZY = {"app": None, "predict": PREDICT_TASK, "retrain": RETRAIN_TASK}


def build(settings: Settings, *, result_serializer: str = SERIALIZER) -> Celery:
    """Return a configured Celery application without tasks.

    Args:
        settings: its broker, key prefix and lifetime of results.
        result_serializer: how tasks that this application runs store their results. Workers use ``json``,
            which every client can read. The default is MessagePack with arrays; it reads both formats.

    Returns:
        An application that accepts JSON and Modelane's MessagePack, and never pickle.
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
        # A worker survives a server that is loading, full or a replica, and reconnects.
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
    """Route a task for Celery: a prediction to its model's lane, a retraining to the trainers.

    Args:
        name: of the task.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Returns:
        Options for ``apply_async``; None for a task that is not Modelane's.

    Raises:
        BadInput: the arguments name no model.
    """
    return celery_tasks.options_of(name, args or (), kwargs or {})


@lru_cache(maxsize=8)
def sender(settings: Settings) -> Celery:
    """Return the application that sends ``modelane.predict`` and ``modelane.retrain``.

    Args:
        settings: its broker, key prefix and lifetime of results.

    Returns:
        The same application for equal settings.
    """
    app = build(settings)
    celery_tasks.register(app, settings)
    return app


def __getattr__(name: str) -> Any:
    """Build ``app``, ``predict`` or ``retrain`` from the environment on first use.

    Raises:
        SettingsError: a setting has a wrong value.
        AttributeError: the module has no such attribute.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = sender(Settings.from_env(os.environ))
    return app.tasks[_LAZY[name]] if _LAZY[name] else app
