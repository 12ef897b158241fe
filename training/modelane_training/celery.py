"""The application of ``celery -A modelane_training worker`` and ``… beat``.  Builds at import, alone."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

from modelane.keys import RETRAIN_TASK
from modelane.protocol.result import PROGRESS
from modelane.settings import Settings
from modelane_training.trainer.retrain_service import PUT_OFF_S, TrainRole, model_of
from modelane_training.trainer.run_claims import Claim, Claims, UnderWay
from modelane_training.trainer.run_claims import Outcome as RunOutcome
from modelane_training.trainer.run_manager import Runs
from modelane_worker.celery_worker.app_factory import settings_of, worker_app


def build(settings: Settings) -> Celery:
    """A Celery application whose worker trains what is asked for on the queue ``modelane.retrain``."""
    app = worker_app(settings, TrainRole(settings))
    app.conf.beat_scheduler = "modelane_training.trainer.beat_scheduler:RecipeScheduler"
    _register(app, settings)
    return app


def _register(app: Celery, settings: Settings) -> None:
    """``modelane.retrain`` as an ordinary task, for what the lane does not run: canvas, other brokers."""
    claims = Claims(settings) if settings.has_lanes else None
    runs = Runs(settings, claims)

    def retrain(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        model, id_ = model_of(args, kwargs), str(self.request.id)
        claim: Claim | UnderWay | RunOutcome = Claim(model, id_, "")
        while claims and isinstance(claim := claims.ask(model, id_), UnderWay):
            time.sleep(PUT_OFF_S)
        if isinstance(claim, RunOutcome):
            return _raised(claim)
        assert isinstance(claim, Claim)

        def tell(step: str, detail: str, is_news: bool) -> None:
            if is_news:
                self.update_state(state=PROGRESS, meta={"step": step, "detail": detail})

        return runs.run(claim, tell=tell, is_revoked=lambda: False, is_last_attempt=True)

    app.task(name=RETRAIN_TASK, bind=True, shared=False, typing=False)(retrain)


def _raised(outcome: RunOutcome) -> dict[str, Any]:
    value = outcome.value()
    if isinstance(value, dict):
        return value
    raise value


app = build(settings_of(os.environ))
