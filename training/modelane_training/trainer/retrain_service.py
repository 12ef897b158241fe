"""Answer the requests ``modelane.retrain`` of a trainer's lane, one at a time.

Called by the lane. Claims the model (:mod:`modelane_training.trainer.run_claims`), or joins the run in
progress, and executes the run (:mod:`modelane_training.trainer.run_executor`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from modelane.errors import BadInput, ModelaneError
from modelane.keys import check_model_name
from modelane.settings import Settings
from modelane_training.trainer.run_claims import (
    CHECK_AGAIN_S,
    RunClaim,
    RunClaims,
    RunInProgress,
    RunOutcome,
)
from modelane_training.trainer.run_executor import RunExecutor
from modelane_worker.celery_worker.revocations import is_revoked
from modelane_worker.lanes.admission import Call, Outcome
from modelane_worker.lanes.progress import Telling

logger = logging.getLogger(__name__)


class RetrainService:
    """The service of a trainer's lane; see :class:`modelane_worker.lanes.lane.Service`."""

    def __init__(self, settings: Settings, only: Collection[str], telling: Telling) -> None:
        self._only = only
        self._telling = telling
        self._max_attempts = settings.max_attempts
        self._claims = RunClaims(settings)
        self._executor = RunExecutor(settings, self._claims)
        self._busy = False
        self._claimed: dict[bytes, RunClaim | RunOutcome] = {}  # by tag, of the calls that are answered next

    def put_off(self, call: Call) -> float:
        """Claim the model for a call.

        Returns:
            0 if the call can be answered now; the delay until the next check if it has joined another run.
        """
        try:
            model = self._model(call)
        except BadInput:
            return 0.0
        claim = self._claims.acquire(model, call.envelope.headers.id)
        if isinstance(claim, RunInProgress):
            detail = f"another run of {model} is in progress ({claim.id}); its outcome is shared"
            self._telling.tell(call, "wait", detail, is_news=False)
            return CHECK_AGAIN_S
        self._claimed[call.tag] = claim
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
        self._executor.give_back()

    def _answer(self, call: Call) -> Outcome:
        claim = self._claimed.pop(call.tag, None)
        try:
            model = self._model(call)
            if isinstance(claim, RunOutcome):
                return claim.value()
            assert claim is not None, "put_off has claimed the model of every valid call"

            def on_progress(step: str, detail: str, is_new: bool) -> None:
                if is_new:
                    extra = {"event": "retrain_step", "model": model, "step": step}
                    logger.info("%s: %s (%s)", model, step, detail, extra=extra)
                self._telling.tell(call, step, detail, is_news=is_new)

            return self._executor.execute(
                claim,
                on_progress=on_progress,
                is_revoked=lambda: is_revoked(call.envelope.headers),
                is_last_attempt=call.envelope.attempts >= self._max_attempts - 1,
            )
        except ModelaneError as error:
            return error

    def _model(self, call: Call) -> str:
        args, kwargs, _ = call.body
        return requested_model(args, kwargs, self._only)


def requested_model(args: Sequence[Any], kwargs: dict[str, Any], only: Collection[str] = ()) -> str:
    """Return the model that the arguments of ``modelane.retrain`` name.

    Raises:
        BadInput: the arguments are not exactly one model's name, or this trainer does not train the model.
    """
    named = dict(zip(("model",), args, strict=False)) | kwargs
    if len(args) > 1 or set(named) != {"model"}:
        raise BadInput(
            f"modelane.retrain got {len(args)} positional arguments and the keywords {sorted(kwargs)}: "
            "expected one argument, model"
        )
    model = check_model_name(named["model"])
    if only and model not in only:
        raise BadInput(
            f"this trainer does not train {model!r}: it was started with --models {','.join(sorted(only))}"
        )
    return model
