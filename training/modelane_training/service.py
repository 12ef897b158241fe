"""Retraining from the queue: what ``modelane.retrain`` does on a trainer.  queue → SERVICE → trainer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from modelane.errors import BadInput
from modelane.keys import RETRAIN_QUEUE, RETRAIN_TASK, check_model_name
from modelane.settings import Settings
from modelane_training.recipe import recipe_of
from modelane_training.trainer import train
from modelane_worker.intake import Call, Outcome
from modelane_worker.lane import Service
from modelane_worker.limits import Limits
from modelane_worker.step import limits

logger = logging.getLogger(__name__)


def retrain_model(settings: Settings, model: str) -> dict[str, Any]:
    """Train a model by its recipe; what the caller is told.

    Raises:
        ModelaneError: nothing changed in service.
    """

    def progress(step: str, detail: str) -> None:
        extra = {"event": "retrain_step", "model": model, "step": step}
        logger.info("%s: %s (%s)", model, step, detail, extra=extra)

    outcome = train(settings, recipe_of(model, Path(settings.recipes)), progress)
    return {
        "model": outcome.model,
        "version": outcome.version,
        "promoted": outcome.verdict.promote,
        "reason": outcome.verdict.reason,
        "metrics": outcome.metrics,
    }


class RetrainService:
    """Answers ``modelane.retrain``, one after another."""

    def __init__(self, settings: Settings, only: Collection[str]) -> None:
        self._settings = settings
        self._only = only

    def answer(self, calls: Sequence[Call], breathe: Callable[[], None]) -> list[Outcome]:
        return [retrain_model(self._settings, self._model(call)) for call in calls]

    def _model(self, call: Call) -> str:
        args, kwargs, _ = call.body
        named = dict(zip(("model",), args, strict=False)) | kwargs
        if len(args) > 1 or set(named) != {"model"}:
            raise BadInput("modelane.retrain takes (model), nothing else")
        model = check_model_name(named["model"])
        if self._only and model not in self._only:
            raise BadInput(f"this trainer does not train {model}")
        return model


class TrainRole:
    """A trainer's role: one lane, for one retraining at a time.  See :class:`modelane_worker.step.Role`."""

    task = RETRAIN_TASK

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._only: frozenset[str] = frozenset()
        self.limits: Limits = limits(settings, max_batch_requests=1)
        self.batch_limit_s = settings.retrain_limit_s

    def is_lane(self, queue: str) -> bool:
        return queue == RETRAIN_QUEUE

    def service(self, queue: str) -> Service:
        return RetrainService(self._settings, self._only)

    def select(self, names: Collection[str]) -> None:
        self._only = frozenset(map(check_model_name, names))

    def queues(self) -> list[str]:
        return [RETRAIN_QUEUE]
