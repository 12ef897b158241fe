"""The role of a trainer: one lane that executes one retraining at a time."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from modelane.keys import RETRAIN_QUEUE, RETRAIN_TASK, check_model_name
from modelane.settings import Settings
from modelane_training.trainer.retrain_service import RetrainService
from modelane_training.trainer.search_helper import SearchHelper
from modelane_worker.lanes.progress_reporter import ProgressReporter
from modelane_worker.registry.card import Card

#: Seconds after the time limit of a run at which the trainer itself counts as hung.
HUNG_S = 120.0


class RetrainRole:
    """Execute retrainings from the queue; see :class:`modelane_worker.celery_worker.role.Role`."""

    task = RETRAIN_TASK

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.settings = msgspec.structs.replace(settings, max_batch_requests=1)  # of the lane
        self._only: frozenset[str] = frozenset()
        self.batch_limit_s = settings.retrain_limit_s + HUNG_S
        self._service: RetrainService | None = None
        self._helper: SearchHelper | None = None

    def is_lane(self, queue: str) -> bool:
        return queue == RETRAIN_QUEUE

    def service(self, queue: str, reporter: ProgressReporter) -> RetrainService:
        service = self._service = RetrainService(self._settings, self._only, reporter)
        if self._helper is None:
            self._helper = SearchHelper(self._settings, self._is_idle, self._only)
        return service

    def _is_idle(self) -> bool:
        return self._service is not None and self._service.is_idle()

    def select(self, names: Collection[str]) -> None:
        self._only = frozenset(map(check_model_name, names))

    def queues(self) -> list[str]:
        return [RETRAIN_QUEUE]

    def known(self) -> list[str]:
        return []

    def cards(self) -> list[Card]:
        return []
