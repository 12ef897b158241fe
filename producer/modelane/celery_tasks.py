"""``modelane.predict`` and ``modelane.retrain`` as Celery tasks: ``delay``, signatures and canvas.

The tasks only send: they choose the model's queue, encode rows as JSON and describe them by shape, so that
neither Flower nor a log shows values. Workers run them. :mod:`modelane.app` registers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery, Task
from celery.canvas import Signature
from celery.result import AsyncResult

from modelane.broker.connection import connect
from modelane.broker.served_models import known_models, not_served, served_models
from modelane.client.options import check_columns
from modelane.data.rows import to_json, to_rows
from modelane.errors import BadInput, BrokerRefused, BrokerUnavailable, UnknownModel
from modelane.keys import (
    PREDICT_TASK,
    RETRAIN_QUEUE,
    RETRAIN_TASK,
    check_model_name,
    predict_queue,
)
from modelane.protocol.predict_request import request_of
from modelane.protocol.redaction import describe
from modelane.settings import Settings

Options = dict[str, Any]


def options_of(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Options | None:
    """Return the options of ``apply_async`` that set a task's queue and its description for monitors.

    Args:
        task: name of the task.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Returns:
        ``queue``, ``argsrepr`` and ``kwargsrepr``; None for a task that is not Modelane's.

    Raises:
        BadInput: the arguments name no model.
    """
    if task not in {PREDICT_TASK, RETRAIN_TASK}:
        return None
    names = [name for name in ("model", "rows") if name not in kwargs]
    named = dict(zip(names, args, strict=False)) | dict(kwargs)
    model = check_model_name(named.get("model"))
    if task == RETRAIN_TASK:
        return {"queue": RETRAIN_QUEUE, "argsrepr": f"({model!r},)", "kwargsrepr": "{}"}
    rows = describe(named["rows"]) if "rows" in named else "[result of the previous task]"
    return {"queue": predict_queue(model), "argsrepr": f"({model!r}, {rows})", "kwargsrepr": "{}"}


class KnownModels:
    """Names of the models that were ever published; asks Redis once per name.

    Args:
        settings: broker and key prefix.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names: frozenset[str] = frozenset()

    def check(self, model: str) -> None:
        """Check that some worker knows a model; without workers, or without Redis, any model passes.

        Raises:
            UnknownModel: workers are running, and none of them knows the model.
        """
        if model in self._names or not self._settings.has_lanes:
            return
        prefix = self._settings.prefix
        try:
            with connect(self._settings) as client:
                self._names = known_models(client, prefix)
                served = [] if model in self._names else [one.model for one in served_models(client, prefix)]
        except (BrokerUnavailable, BrokerRefused):
            return  # sending the task waits for Redis or fails by itself
        if served:
            raise UnknownModel(not_served(model, served))


class _RemoteTask(Task):  # type: ignore[misc]  # Celery has no types
    """A task that this process sends and never runs."""

    abstract = True
    typing = False  # the worker checks the arguments, with better messages than Celery's

    def arguments(self, args: tuple[Any, ...], kwargs: Options) -> tuple[tuple[Any, ...], Options]:
        """Return the arguments in the form in which they are sent."""
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
        # In a chain, the signature was described before its rows were known.
        return super().apply_async(args, kwargs, **own | options | {"argsrepr": own["argsrepr"]})

    def run(self, *_: Any, **__: Any) -> None:
        name = self.name.rpartition(".")[2]
        raise BadInput(
            f"{name} cannot be called here, because only workers run it: send it with {name}.delay(…), "
            f"or use {name}.s(…) in a canvas"
        )


class Predict(_RemoteTask):
    """The task ``modelane.predict``; without ``rows``, a link of a chain predicts the previous result."""

    name = PREDICT_TASK

    def __init__(self, known: KnownModels) -> None:
        self._known = known

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> AsyncResult:
        """Send the task, like Celery's ``apply_async``.

        Raises:
            BadInput: the arguments are wrong.
            UnknownModel: workers are running, and none of them knows the model.
        """
        args, kwargs = self.arguments(tuple(args or ()), dict(kwargs or {}))
        self._known.check(check_model_name(kwargs.get("model")))
        return super().apply_async(args, kwargs, **options)

    def arguments(self, args: tuple[Any, ...], kwargs: Options) -> tuple[tuple[Any, ...], Options]:
        if "model" not in kwargs and args:
            # Celery inserts the result of the previous task of a chain as first positional argument. Passing
            # the model by name makes that argument the rows.
            args, kwargs = args[1:], {"model": args[0], **kwargs}
        if "rows" in kwargs:
            args = (kwargs.pop("rows"), *args)
        if args:
            body, columns, _ = to_rows(args[0], check_columns(kwargs.get("columns")))
            args = (to_json(body), *args[1:])
            if columns is not None:
                kwargs["columns"] = list(columns)
            request_of("", args, kwargs)
        return args, kwargs


class Retrain(_RemoteTask):
    """The task ``modelane.retrain``; a chain uses ``retrain.si(model)``, which takes no previous result."""

    name = RETRAIN_TASK


def register(app: Celery, settings: Settings) -> None:
    """Register both tasks with an application that sends them."""
    for task in (Predict(KnownModels(settings)), Retrain()):
        app.register_task(task)
