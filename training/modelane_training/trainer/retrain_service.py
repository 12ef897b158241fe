"""Retraining from the queue: what ``modelane.retrain`` does on a trainer.  queue → SERVICE → runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from modelane.errors import BadInput, ModelaneError
from modelane.keys import RETRAIN_QUEUE, RETRAIN_TASK, check_model_name
from modelane.settings import Settings
from modelane_training.trainer.idle_helper import Helper
from modelane_training.trainer.run_claims import Claim, Claims, UnderWay
from modelane_training.trainer.run_claims import Outcome as RunOutcome
from modelane_training.trainer.run_manager import Runs
from modelane_worker.celery_worker.revocations import is_revoked
from modelane_worker.lanes.admission import Call, Outcome
from modelane_worker.lanes.lane import Service
from modelane_worker.lanes.progress import Telling
from modelane_worker.registry.card import Card

logger = logging.getLogger(__name__)

#: Seconds after which a request looks again whether the run that it waits for has ended.
PUT_OFF_S = 1.0

#: Seconds beyond the limit of a run after which its trainer counts as hung, too.
HUNG_S = 120.0


class RetrainService:
    """Answers ``modelane.retrain``, one after another."""

    def __init__(self, settings: Settings, only: Collection[str], telling: Telling) -> None:
        self._only = only
        self._telling = telling
        self._max_attempts = settings.max_attempts
        self._claims = Claims(settings)
        self._runs = Runs(settings, self._claims)
        self._busy = False
        self._asked: dict[bytes, Claim | RunOutcome] = {}  # by tag, of what is answered next

    def put_off(self, call: Call) -> float:
        """Whether another run of the model is under way: its outcome will answer this call, too."""
        try:
            model = self._model(call)
        except BadInput:
            return 0.0
        asked = self._claims.ask(model, call.envelope.headers.id)
        if isinstance(asked, UnderWay):
            self._telling.tell(
                call, "wait", f"for the run of {model} that is under way ({asked.id})", is_news=False
            )
            return PUT_OFF_S
        self._asked[call.tag] = asked
        return 0.0

    def answer(self, calls: Sequence[Call], breathe: Callable[[], None]) -> list[Outcome]:
        self._busy = True
        try:
            return [self._answer(call) for call in calls]
        finally:
            self._busy = False

    def is_idle(self) -> bool:
        return not self._busy

    def give_back(self) -> None:
        self._runs.give_back()

    def _answer(self, call: Call) -> Outcome:
        asked = self._asked.pop(call.tag, None)
        try:
            model = self._model(call)
            if isinstance(asked, RunOutcome):
                return asked.value()
            assert asked is not None, "what is well-formed has been asked for"

            def tell(step: str, detail: str, is_news: bool) -> None:
                if is_news:
                    extra = {"event": "retrain_step", "model": model, "step": step}
                    logger.info("%s: %s (%s)", model, step, detail, extra=extra)
                self._telling.tell(call, step, detail, is_news=is_news)

            return self._runs.run(
                asked,
                tell=tell,
                is_revoked=lambda: is_revoked(call.envelope.headers),
                is_last_attempt=call.envelope.attempts >= self._max_attempts - 1,
            )
        except ModelaneError as error:
            return error

    def _model(self, call: Call) -> str:
        args, kwargs, _ = call.body
        return model_of(args, kwargs, self._only)


def model_of(args: Sequence[Any], kwargs: dict[str, Any], only: Collection[str] = ()) -> str:
    """The model that a call of ``modelane.retrain`` names.

    Raises:
        BadInput: no model's name, other arguments, or a model that this trainer does not train.
    """
    named = dict(zip(("model",), args, strict=False)) | kwargs
    if len(args) > 1 or set(named) != {"model"}:
        raise BadInput("modelane.retrain takes (model), nothing else")
    model = check_model_name(named["model"])
    if only and model not in only:
        raise BadInput(f"this trainer does not train {model}")
    return model


class TrainRole:
    """A trainer's role: one lane, for one retraining at a time.

    See :class:`modelane_worker.celery_worker.bootstep.Role`.
    """

    task = RETRAIN_TASK

    def __init__(self, settings: Settings) -> None:
        self.settings = msgspec.structs.replace(settings, max_batch_requests=1)
        self._only: frozenset[str] = frozenset()
        self.batch_limit_s = settings.retrain_limit_s + HUNG_S
        self._service: RetrainService | None = None
        self._helper: Helper | None = None

    def is_lane(self, queue: str) -> bool:
        return queue == RETRAIN_QUEUE

    def service(self, queue: str, telling: Telling) -> Service:
        service = self._service = RetrainService(self.settings, self._only, telling)
        if self._helper is None:
            self._helper = Helper(self.settings, self._is_idle, self._only)
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
