"""Runs that somebody has asked for through the queue: one of a model at a time, in a process of its own.

service, celery → RUNS → claims, process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from modelane.errors import BrokerUnavailable, ModelaneError, Revoked, RunEnded, TryLater
from modelane.settings import Settings
from modelane_training.trainer.run_claims import Claim, Claims, Outcome
from modelane_training.trainer.run_process import ASK_AGAIN_S, run_apart
from modelane_training.trainer.run_protocol import Order
from modelane_worker.lanes.lane import GivenBack

if TYPE_CHECKING:
    from modelane_training.pipeline.run import Progress

logger = logging.getLogger(__name__)

#: Told how far a run has come, and whether that is news or only to be kept alive.
Tell = Callable[[str, str, bool], None]


class Runs:
    """All runs of one trainer.

    Args:
        settings: of the trainer; a run's process gets the same.
        claims: None where there is no Redis to keep them on.
    """

    def __init__(self, settings: Settings, claims: Claims | None) -> None:
        self._settings = settings
        self._claims = claims
        self._giving_back = threading.Event()

    def give_back(self) -> None:
        """End what runs, so that another trainer goes on with it at once."""
        self._giving_back.set()

    def run(
        self, claim: Claim, *, tell: Tell, is_revoked: Callable[[], bool], is_last_attempt: bool = False
    ) -> dict[str, Any]:
        """Train a model that is claimed; its end is what all get who have asked meanwhile.

        Raises:
            GivenBack: the trainer ends; the run does not.
            Revoked: somebody cancelled it in time.
            TryLater: its process was killed; it should be tried again.
            ModelaneError: nothing changed in service.
        """
        watch = _Watch(self._settings.lease_s, tell, lambda: self._renew(claim))

        def unwanted() -> Exception | None:
            watch.keep()
            if is_revoked():
                return Revoked("revoked while it ran; nothing was published")
            return GivenBack() if self._giving_back.is_set() else None

        try:
            result = run_apart(
                self._settings,
                Order(claim.model, claim.id),
                progress=watch.progress,
                may_publish=lambda: self._renew(claim),
                unwanted=unwanted,
            )
        except GivenBack:
            logger.info("%s: given back", claim.model, extra={"event": "retrain_given_back"})
            self._hand_on(claim)
            raise
        except Revoked:
            self._end(claim, None)
            raise
        except TryLater as error:
            if not is_last_attempt:
                self._hand_on(claim)
                raise
            ended = RunEnded(f"{error}; it was tried again in vain")
            self._end(claim, Outcome.of(ended))
            raise ended from error
        except ModelaneError as error:
            logger.error("%s: %s", claim.model, error, extra={"event": "retrain_failed"})  # noqa: TRY400
            self._end(claim, Outcome.of(error))
            raise
        self._end(claim, Outcome.of(result))
        return result

    def _renew(self, claim: Claim) -> None:
        if self._claims:
            self._claims.renew(claim)

    def _hand_on(self, claim: Claim) -> None:
        if self._claims:
            with suppress(BrokerUnavailable):  # then the others wait until its lease has run out
                self._claims.hand_on(claim)

    def _end(self, claim: Claim, outcome: Outcome | None) -> None:
        """Until Redis knows: else who asked meanwhile would have the model trained again."""
        from modelane_training.search.study_store import Studies  # noqa: PLC0415  # slow, and only for what has ended

        while self._claims:
            try:
                self._claims.end(claim, outcome)
                return Studies(self._settings).remove(claim.model, claim.id)
            except BrokerUnavailable as exc:
                logger.warning("%s: %s", claim.model, exc, extra={"event": "claim_waits"})
                if self._giving_back.wait(ASK_AGAIN_S):
                    return None
        return None


class _Watch:
    """Keeps a run's claim, and what its caller sees of it, alive between two steps."""

    def __init__(self, lease_s: float, tell: Tell, renew: Callable[[], None]) -> None:
        self._every_s = lease_s / 3
        self._due_s = time.monotonic() + self._every_s
        self._tell = tell
        self._renew = renew
        self._last = ("start", "in a process of its own")

    @property
    def progress(self) -> Progress:
        return self._progress

    def keep(self) -> None:
        """Raises :class:`RunEnded`: another trainer has taken the run over."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + self._every_s
        with suppress(BrokerUnavailable):  # a run is not lost because Redis is away
            self._renew()
            self._tell(*self._last, False)

    def _progress(self, step: str, detail: str) -> None:
        self._last = (step, detail)
        with suppress(BrokerUnavailable):
            self._tell(step, detail, True)
