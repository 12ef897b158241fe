"""``modelane.predict`` as an ordinary Celery task: for what a lane does not batch.

Canvas, and brokers other than Redis, run it one by one through Celery's own tracer, with the same answers.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from modelane.errors import BadInput
from modelane.keys import PREDICT_TASK, check_model_name
from modelane.wire import Request
from modelane_worker import batch
from modelane_worker.live import Models


def register(app: Celery, models: Models, *, max_batch_rows: int) -> None:
    """Give the application its task."""

    def predict(  # noqa: PLR0913, PLR0917  the wire's arguments
        self: Any,
        model: str,
        rows: Any,
        method: str = "predict",
        columns: list[str] | None = None,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        if models.only and model not in models.only:
            raise BadInput(f"this worker does not serve {model!r:.80}")
        live = models.get(check_model_name(model))
        live.refresh()
        engine = live.engine
        request = Request(
            id=self.request.id or "",
            model=model,
            rows=rows,
            method=method,
            columns=tuple(columns) if columns is not None else None,
            params=params or {},
        )
        (outcome,) = batch.answer([request], engine, max_rows=max_batch_rows)
        if not isinstance(outcome, batch.Predicted):
            raise outcome
        return {
            "model": model,
            "version": engine.card.version,
            "method": method,
            "values": outcome.values.tolist(),
        }

    app.task(name=PREDICT_TASK, bind=True)(predict)
