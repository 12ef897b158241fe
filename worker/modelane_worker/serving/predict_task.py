"""``modelane.predict`` as an ordinary Celery task, for what a lane does not batch.

Canvas, and brokers other than Redis, run it one request at a time through Celery's own tracer, with the same
answers as a lane.
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
from modelane_worker.serving.models import Models
from modelane_worker.serving.predict_service import result_of

#: Characters of a result that logs and Flower show: model and version, but no values.
RESULT_SHOWN = 64


def register(app: Celery, models: Models, *, max_batch_rows: int) -> None:
    """Register the task with an application."""

    def predict(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        request = request_of(self.request.id, args, kwargs)
        if isinstance(request.rows, np.ndarray):  # kombu has decoded the tensor of our client already
            request = msgspec.structs.replace(request, rows=Tensor.of(request.rows))
        return _predict(request, models, max_batch_rows)

    app.task(
        name=PREDICT_TASK,
        bind=True,
        shared=False,  # it belongs to this application and its models
        typing=False,  # so that wrong arguments cause the same error as in a lane
        resultrepr_maxsize=RESULT_SHOWN,
    )(predict)


def _predict(request: Request, models: Models, max_batch_rows: int) -> dict[str, Any]:
    if models.only and request.model not in models.only:
        raise BadInput(
            f"this worker does not serve {request.model!r:.80}: it was started with "
            f"--models {','.join(sorted(models.only))}"
        )
    live = models.get(check_model_name(request.model))
    live.refresh()
    engine = live.wait_for(request.version)
    (share,) = batching.answer([request], engine, max_rows=max_batch_rows)
    if not isinstance(share, batching.Predicted):
        raise share
    return result_of(request, engine.card.version, share.values.tolist())
