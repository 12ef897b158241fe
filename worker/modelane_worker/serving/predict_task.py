"""``modelane.predict`` as an ordinary Celery task: for what a lane does not batch.

Canvas, and brokers other than Redis, run it one by one through Celery's own tracer, with the same answers.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from celery import Celery

from modelane.data.tensor import Tensor
from modelane.errors import BadInput
from modelane.keys import PREDICT_TASK, check_model_name
from modelane.protocol.predict_request import Request, request_of
from modelane_worker.inference import batching
from modelane_worker.serving.live_model import Models

#: Characters of a result that logs and Flower show: which model and version, not what it said.
RESULT_SHOWN = 64


def register(app: Celery, models: Models, *, max_batch_rows: int) -> None:
    """Give the application its task."""

    def predict(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        request = request_of(self.request.id, args, kwargs)
        if isinstance(request.rows, np.ndarray):  # kombu has read our client's form to the end
            request = msgspec.structs.replace(request, rows=Tensor.of(request.rows))
        return _answer(request, models, max_batch_rows)

    app.task(
        name=PREDICT_TASK,
        bind=True,
        shared=False,  # it is this application's, with its models
        typing=False,  # wrong arguments are refused by the same words wherever it is run
        resultrepr_maxsize=RESULT_SHOWN,
    )(predict)


def _answer(request: Request, models: Models, max_batch_rows: int) -> dict[str, Any]:
    if models.only and request.model not in models.only:
        raise BadInput(f"this worker does not serve {request.model!r:.80}")
    live = models.get(check_model_name(request.model))
    live.refresh()
    is_champion = request.version in (None, live.version)
    engine = live.engine if is_champion else live.others.wait(str(request.version))
    (outcome,) = batching.answer([request], engine, max_rows=max_batch_rows)
    if not isinstance(outcome, batching.Predicted):
        raise outcome
    return {
        "model": request.model,
        "version": engine.card.version,
        "method": request.method,
        "values": outcome.values.tolist(),
    }
