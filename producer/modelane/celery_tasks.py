"""``modelane.predict`` and ``modelane.retrain`` as tasks of Celery's own: ``predict.s("churn", rows)``.

caller → SIGNATURES → Celery's client → the lane.  They route themselves, travel as JSON, and are described by
shape, never by what they hold.  Some worker elsewhere runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery, Task
from celery.canvas import Signature
from celery.result import AsyncResult
from redis.utils import str_if_bytes

from modelane.broker.connection import broker_errors, connect
from modelane.broker.served_models import served_models
from modelane.client.options import check_columns
from modelane.client.unknown_models import unknown
from modelane.data.rows import in_json, to_rows
from modelane.errors import BadInput, BrokerRefused, BrokerUnavailable
from modelane.keys import (
    PREDICT_TASK,
    RETRAIN_QUEUE,
    RETRAIN_TASK,
    SERVED_KEY,
    check_model_name,
    predict_queue,
)
from modelane.protocol.predict_request import request_of
from modelane.protocol.redaction import describe
from modelane.settings import Settings

Options = dict[str, Any]


def options_of(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Options | None:
    """What brings a call to its queue and describes it in public; None for a task that is not ours.

    Raises:
        BadInput: it names no model.
    """
    if task not in {PREDICT_TASK, RETRAIN_TASK}:
        return None
    names = [name for name in ("model", "rows") if name not in kwargs]
    named = dict(zip(names, args, strict=False)) | dict(kwargs)
    model = check_model_name(named.get("model"))
    if task == RETRAIN_TASK:
        return {"queue": RETRAIN_QUEUE, "argsrepr": f"({model!r},)", "kwargsrepr": "{}"}
    rows = describe(named["rows"]) if "rows" in named else "[what the task before gives]"
    return {"queue": predict_queue(model), "argsrepr": f"({model!r}, {rows})", "kwargsrepr": "{}"}


class Known:
    """The models that were ever published or announced; Redis is asked once for each.

    Args:
        settings: which Redis, and the prefix of its keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names: frozenset[str] = frozenset()

    def check(self, model: str) -> None:
        """Raises :class:`UnknownModel`: workers are there, and none knows it."""
        if model in self._names or not self._settings.has_lanes:
            return
        prefix = self._settings.prefix
        try:
            with connect(self._settings) as client:
                with broker_errors():
                    self._names = frozenset(map(str_if_bytes, client.smembers(prefix + SERVED_KEY)))
                served = [] if model in self._names else [one.model for one in served_models(client, prefix)]
        except (BrokerUnavailable, BrokerRefused):
            return  # whoever sends has a way of its own to wait, or to say so
        if served:
            raise unknown(model, served)


class _Elsewhere(Task):  # type: ignore[misc]  # Celery has no types
    """A task that this program sends, and never runs."""

    abstract = True
    typing = False  # the worker knows its arguments, and refuses wrong ones in words

    def arguments(self, args: tuple[Any, ...], kwargs: Options) -> tuple[tuple[Any, ...], Options]:
        """As they travel."""
        return args, kwargs

    def signature(
        self, args: Any = None, kwargs: Any = None, options: Any = None, **changed: Any
    ) -> Signature:
        args, kwargs = self.arguments(tuple(args or ()), dict(kwargs or {}))
        own = options_of(self.name, args, kwargs) or {}
        return super().signature(args, kwargs, own | (options or {}), **changed)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> AsyncResult:
        args, kwargs = self.arguments(tuple(args or ()), dict(kwargs or {}))
        own = options_of(self.name, args, kwargs) or {}
        # A signature was described before its rows were known.
        return super().apply_async(args, kwargs, **own | options | {"argsrepr": own["argsrepr"]})

    def run(self, *_: Any, **__: Any) -> None:
        name = self.name.rpartition(".")[2]
        raise BadInput(f"{name} is run by a worker: send it with {name}.delay(…), or {name}.s(…) in canvas")


class Predict(_Elsewhere):
    """``predict.s(model, rows, method=…, columns=…, params=…)``; a link of a chain leaves rows out."""

    name = PREDICT_TASK

    def __init__(self, known: Known) -> None:
        self._known = known

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> AsyncResult:
        """Raises :class:`UnknownModel`: workers are there, and none knows the model."""
        args, kwargs = self.arguments(tuple(args or ()), dict(kwargs or {}))
        self._known.check(check_model_name(kwargs.get("model")))
        return super().apply_async(args, kwargs, **options)

    def arguments(self, args: tuple[Any, ...], kwargs: Options) -> tuple[tuple[Any, ...], Options]:
        if "model" not in kwargs and args:
            # By name, so that in a chain the result of the task before takes its place in front, as rows.
            # A link that was named so already has those rows first.
            args, kwargs = args[1:], {"model": args[0], **kwargs}
        if "rows" in kwargs:
            args = (kwargs.pop("rows"), *args)
        if args:
            body, columns, _ = to_rows(args[0], check_columns(kwargs.get("columns")))
            args = (in_json(body), *args[1:])
            if columns is not None:
                kwargs["columns"] = list(columns)
            request_of("", args, kwargs)
        return args, kwargs


class Retrain(_Elsewhere):
    """``retrain.si(model)``."""

    name = RETRAIN_TASK


def register(app: Celery, settings: Settings) -> None:
    """Give an application the two tasks, to be sent."""
    for task in (Predict(Known(settings)), Retrain()):
        app.register_task(task)
