"""Execute claimed runs: keep the claim, pass on the progress, and share the outcome.

Called by the retrain service and the Celery task; each run is a process
(:mod:`modelane_training.trainer.run_process`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from modelane.broker.retry import Outage
from modelane.errors import BrokerUnavailable, ModelaneError, Revoked, RunEnded, TryLater
from modelane.settings import Settings
from modelane_training.trainer.run_claims import RunClaim, RunClaims, RunOutcome
from modelane_training.trainer.run_process import run_in_subprocess
from modelane_training.trainer.run_protocol import RunOrder
from modelane_worker.lanes.service import GivenBack

logger = logging.getLogger(__name__)

#: Called with a step, its detail, and whether it is new; False repeats the last step to keep its record
#: alive.
OnProgress = Callable[[str, str, bool], None]


class RunExecutor:
    """The runs of one trainer.

    Args:
        settings: of the trainer; the process of a run gets the same.
        claims: None without a Redis that can keep them.
    """

    def __init__(self, settings: Settings, claims: RunClaims | None) -> None:
        self._settings = settings
        self._claims = claims
        self._shutdown = threading.Event()

    def give_back(self) -> None:
        """Stop the current run so that another trainer can resume it immediately. Thread-safe."""
        self._shutdown.set()

    def execute(
        self,
        claim: RunClaim,
        *,
        on_progress: OnProgress,
        is_revoked: Callable[[], bool],
        is_last_attempt: bool = False,
    ) -> dict[str, Any]:
        """Train a claimed model, and share the outcome with all requests that have joined the run.

        Raises:
            GivenBack: the trainer shuts down; another one resumes the run.
            Revoked: the run was cancelled before it published anything.
            TryLater: the process of the run was killed; the run should be retried.
            ModelaneError: the run failed; the model in service has not changed.
        """
        heartbeat = _Heartbeat(self._settings.lease_s, on_progress, lambda: self._renew(claim))

        def stop_reason() -> Exception | None:
            heartbeat.beat()
            if is_revoked():
                return Revoked("the run was revoked; nothing was published")
            return GivenBack() if self._shutdown.is_set() else None

        try:
            result = run_in_subprocess(
                self._settings,
                RunOrder(claim.model, claim.id),
                progress=heartbeat.progress,
                may_publish=lambda: self._renew(claim),
                stop_reason=stop_reason,
            )
        except GivenBack:
            logger.info("%s: run given back to the queue", claim.model, extra={"event": "retrain_given_back"})
            self._hand_over(claim)
            raise
        except Revoked:
            self._finish(claim, None)
            raise
        except TryLater as error:
            if not is_last_attempt:
                self._hand_over(claim)
                raise
            ended = RunEnded(f"{error}; all attempts to run it have failed")
            self._finish(claim, RunOutcome.of(ended))
            raise ended from error
        except ModelaneError as error:
            logger.error("%s: %s", claim.model, error, extra={"event": "retrain_failed"})  # noqa: TRY400
            self._finish(claim, RunOutcome.of(error))
            raise
        self._finish(claim, RunOutcome.of(result))
        return result

    def _renew(self, claim: RunClaim) -> None:
        if self._claims:
            self._claims.renew(claim)

    def _hand_over(self, claim: RunClaim) -> None:
        if self._claims:
            with suppress(BrokerUnavailable):  # the run is then resumed when the lease of the claim expires
                self._claims.hand_over(claim)

    def _finish(self, claim: RunClaim, outcome: RunOutcome | None) -> None:
        """Record the outcome. Retry until Redis has it, because joined requests would repeat the run."""
        if (claims := self._claims) is None:
            return
        from modelane_training.search.study_store import StudyStore  # noqa: PLC0415  # imports Optuna

        with suppress(BrokerUnavailable):  # the trainer shuts down; the claim expires
            outage = Outage(f"outcome of the run of {claim.model}", self._shutdown.wait)
            outage.retry(lambda: claims.finish(claim, outcome))
            StudyStore(self._settings).remove(claim.model, claim.id)


class _Heartbeat:
    """The renewal of a run's claim, and of its last progress, while a step takes long."""

    def __init__(self, lease_s: float, on_progress: OnProgress, renew: Callable[[], None]) -> None:
        self._interval_s = lease_s / 3
        self._due_s = time.monotonic() + self._interval_s
        self._on_progress = on_progress
        self._renew = renew
        self._last = ("start", "starting the process of the run")

    def progress(self, step: str, detail: str) -> None:
        self._last = (step, detail)
        with suppress(BrokerUnavailable):
            self._on_progress(step, detail, True)

    def beat(self) -> None:
        """Renew if it is time.

        Raises:
            RunEnded: another trainer has taken over the run.
        """
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + self._interval_s
        with suppress(BrokerUnavailable):  # the run continues while Redis does not answer
            self._renew()
            self._on_progress(*self._last, False)
