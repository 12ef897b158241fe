"""Answer the requests ``modelane.retrain`` of a trainer's lane, one at a time.

Called by the lane. Claims the model (:mod:`modelane_training.trainer.run_claims`), or joins the run in
progress, and executes the run (:mod:`modelane_training.trainer.run_executor`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from modelane.errors import BadInput, ModelaneError
from modelane.keys import check_model_name
from modelane.protocol.message import Body, Envelope
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
from modelane_worker.lanes.progress_reporter import ProgressReporter
from modelane_worker.lanes.service import Call, Deferred, Result

logger = logging.getLogger(__name__)


class RetrainRequest(NamedTuple):
    """A request that can be answered now: with a run, or with the outcome of the run that it had joined."""

    model: str
    claim: RunClaim | RunOutcome


class RetrainService:
    """The service of a trainer's lane; see :class:`modelane_worker.lanes.service.Service`."""

    def __init__(self, settings: Settings, only: Collection[str], reporter: ProgressReporter) -> None:
        self._only = only
        self._reporter = reporter
        self._max_attempts = settings.max_attempts
        self._claims = RunClaims(settings)
        self._executor = RunExecutor(settings, self._claims)
        self._busy = False

    def admit(self, tag: bytes, envelope: Envelope, body: Body) -> RetrainRequest | Deferred:
        """Claim the model, or join the run in progress: the request is then deferred until the next check."""
        args, kwargs, _ = body
        model = requested_model(args, kwargs, self._only)
        claim = self._claims.acquire(model, envelope.headers.id)
        if isinstance(claim, RunInProgress):
            detail = f"another run of {model} is in progress ({claim.id}); its outcome is shared"
            self._reporter.report(tag, envelope, "wait", detail, is_news=False)
            return Deferred(tag, CHECK_AGAIN_S)
        return RetrainRequest(model, claim)

    def serve(
        self, calls: Sequence[Call[RetrainRequest]], serve_others: Callable[[], None]
    ) -> Sequence[Result]:
        self._busy = True
        try:
            return [self._result(call) for call in calls]
        finally:
            self._busy = False

    def is_idle(self) -> bool:
        return not self._busy

    def give_back(self) -> None:
        self._executor.give_back()

    def _result(self, call: Call[RetrainRequest]) -> Result:
        model, claim = call.request
        if isinstance(claim, RunOutcome):
            return claim.value()

        def on_progress(step: str, detail: str, is_new: bool) -> None:
            if is_new:
                extra = {"event": "retrain_step", "model": model, "step": step}
                logger.info("%s: %s (%s)", model, step, detail, extra=extra)
            self._reporter.report(call.tag, call.envelope, step, detail, is_news=is_new)

        try:
            return self._executor.execute(
                claim,
                on_progress=on_progress,
                is_revoked=lambda: is_revoked(call.envelope.headers),
                is_last_attempt=call.envelope.attempts >= self._max_attempts - 1,
            )
        except ModelaneError as error:
            return error


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
