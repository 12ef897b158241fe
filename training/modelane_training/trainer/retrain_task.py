"""``modelane.retrain`` as an ordinary Celery task: for canvas, and for brokers other than Redis.

Celery runs it one by one through its own tracer, with the same process and limits as a run from the lane.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery

from modelane.keys import RETRAIN_TASK
from modelane.protocol.result import PROGRESS
from modelane.settings import Settings
from modelane_training.trainer.retrain_service import requested_model
from modelane_training.trainer.run_claims import (
    CHECK_AGAIN_S,
    RunClaim,
    RunClaims,
    RunInProgress,
    RunOutcome,
)
from modelane_training.trainer.run_executor import RunExecutor


def register(app: Celery, settings: Settings) -> None:
    """Register the task with the application."""
    claims = RunClaims(settings) if settings.has_lanes else None
    executor = RunExecutor(settings, claims)

    def retrain(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        model, id_ = requested_model(args, kwargs), str(self.request.id)
        claim: RunClaim | RunInProgress | RunOutcome = RunClaim(model, id_, holder="")
        while claims and isinstance(claim := claims.acquire(model, id_), RunInProgress):
            time.sleep(CHECK_AGAIN_S)
        if isinstance(claim, RunOutcome):
            return _value_or_raise(claim)
        assert isinstance(claim, RunClaim)

        def on_progress(step: str, detail: str, is_new: bool) -> None:
            if is_new:
                self.update_state(state=PROGRESS, meta={"step": step, "detail": detail})

        return executor.execute(
            claim, on_progress=on_progress, is_revoked=lambda: False, is_last_attempt=True
        )

    app.task(name=RETRAIN_TASK, bind=True, shared=False, typing=False)(retrain)


def _value_or_raise(outcome: RunOutcome) -> dict[str, Any]:
    value = outcome.value()
    if isinstance(value, dict):
        return value
    raise value
