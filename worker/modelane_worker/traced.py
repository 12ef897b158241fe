"""Requests that are more than a prediction: canvas, and any other task, run by Celery's own tracer.

They come one by one, and Celery stores their results and calls what is linked to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from celery import Celery
from celery.app.trace import trace_task

from modelane.errors import BadInput, PredictionFailed
from modelane_worker.intake import Call, Outcome, Traced
from modelane_worker.lane import Service


class TracedService:
    """Runs through Celery what needs it, and leaves the rest to another service.

    Args:
        app: its tasks and its result backend.
        hostname: the worker's node name.
        task: whose plain requests the other service answers.
        batched: the other service.
    """

    def __init__(self, app: Celery, hostname: str, task: str, batched: Service) -> None:
        self._app = app
        self._hostname = hostname
        self._task = task
        self._batched = batched

    def answer(self, calls: Sequence[Call]) -> list[Outcome]:
        plain = [call for call in calls if self._is_plain(call)]
        if len(plain) == len(calls):
            return self._batched.answer(calls)
        answered = iter(self._batched.answer(plain) if plain else ())
        return [next(answered) if self._is_plain(call) else self._trace(call) for call in calls]

    def _is_plain(self, call: Call) -> bool:
        _, _, embed = call.body
        return call.envelope.headers.task == self._task and not (
            embed.callbacks or embed.errbacks or embed.chain or embed.chord
        )

    def _trace(self, call: Call) -> Outcome:
        headers = call.envelope.headers
        task = self._app.tasks.get(headers.task)
        if task is None:
            return BadInput(f"this worker has no task {headers.task!r:.80}")
        args, kwargs, embed = call.body
        message = msgspec.json.decode(call.message)
        request = message["headers"] | {
            "args": args,
            "kwargs": kwargs,
            "hostname": self._hostname,
            "is_eager": False,
            "correlation_id": call.envelope.properties.correlation_id,
            "reply_to": call.envelope.properties.reply_to,
            "delivery_info": message.get("properties", {}).get("delivery_info") or {},
            **msgspec.structs.asdict(embed),
        }
        _, info, _, _ = trace_task(
            task,
            headers.id,
            args,
            kwargs,
            request,
            hostname=self._hostname,
            loader=self._app.loader,
            app=self._app,
        )
        if info is None or info.state == "SUCCESS":
            return Traced()
        return Traced(PredictionFailed(f"{headers.task} ended as {info.state}: {info.retval}"))
