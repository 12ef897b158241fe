"""The role of a prediction worker: one lane for each model in the store that can be served."""

from __future__ import annotations

from collections.abc import Collection

from modelane.keys import PREDICT_TASK, check_model_name, lane_of, predict_queue
from modelane.settings import Settings
from modelane_worker.lanes.progress_reporter import ProgressReporter
from modelane_worker.registry.card import Card
from modelane_worker.serving.models import Models
from modelane_worker.serving.predict_service import PredictService


class PredictRole:
    """Serves the models of the store; see :class:`modelane_worker.celery_worker.role.Role`."""

    task = PREDICT_TASK

    def __init__(self, settings: Settings, models: Models) -> None:
        self.settings = settings
        self._models = models
        self.batch_limit_s = settings.predict_limit_s

    def is_lane(self, queue: str) -> bool:
        return lane_of(queue) is not None

    def service(self, queue: str, reporter: ProgressReporter) -> PredictService:
        model = lane_of(queue)
        assert model is not None, f"{queue} is not the queue of a model"
        live = self._models.get(model)
        live.refresh()
        return PredictService(
            model,
            engine=live.engine,
            load_delay_s=live.load_delay_s,
            max_batch_rows=self.settings.max_batch_rows,
        )

    def select(self, names: Collection[str]) -> None:
        self._models.only = frozenset(map(check_model_name, names))

    def queues(self) -> list[str]:
        wanted = self._models.wanted()
        for model in set(self._models.served()).difference(wanted):
            self._models.get(model).refresh()  # an operator has added its lane: it follows its champion too
        return [predict_queue(model) for model in wanted if self._models.get(model).refresh()]

    def known(self) -> list[str]:
        return self._models.stored()

    def cards(self) -> list[Card]:
        return [card for model in self._models.served() for card in self._models.get(model).cards]
