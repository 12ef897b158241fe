"""Modelane's Celery application: the one configuration that producers, workers, trainers and Flower share."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.serialization import register

from modelane import results, wire
from modelane.keys import DEFAULT_QUEUE, PREDICT_TASK, RETRAIN_QUEUE, RETRAIN_TASK, predict_queue
from modelane.settings import Settings

SERIALIZER = "modelane"


def build(settings: Settings, *, result_serializer: str = SERIALIZER) -> Celery:
    """A configured application without tasks.

    Args:
        settings: whose broker, prefix and result lifetime it uses.
        result_serializer: how tasks that run here through Celery's own tracer store their results: workers
            take ``json``, which every client reads; the default reads both forms.
    """
    register(
        SERIALIZER,
        results.dumps,
        results.loads,
        content_type=wire.CONTENT_TYPE,
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
) -> dict[str, str] | None:
    """Celery's router: a prediction goes to its model's lane, a retraining to the trainers."""
    if name == PREDICT_TASK:
        model = kwargs["model"] if "model" in kwargs else next(iter(args), None)
        return {"queue": predict_queue(str(model))}
    if name == RETRAIN_TASK:
        return {"queue": RETRAIN_QUEUE}
    return None
