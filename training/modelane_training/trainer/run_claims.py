"""Claims: at most one run of a model at a time, across all requests and trainers.

The first request claims the model and is executed. Requests that arrive before the run ends join it and share
its outcome. A lost trainer stops renewing its claim. The queue gives the request to another trainer, which
claims the model again and resumes the run. Called by the retrain service and the Celery task; the record is
kept in Redis.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import msgspec

from modelane.broker.connection import broker_errors, connect
from modelane.broker.scripts import Script
from modelane.errors import ModelaneError, RunEnded, from_code
from modelane.keys import RETRAIN_QUEUE, RUN_KEY_PREFIX, RUN_TTL_S, QueueKeys
from modelane.settings import Settings

#: Seconds after which a request that has joined a run checks again whether the run has ended.
CHECK_AGAIN_S = 1.0

#: Maximum number of queued requests per priority that can join a run when it ends, and the maximum size of
#: each, bytes.
MAX_WAITING, MAX_BYTES = 1000, 16_384


class RunOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run ended: with a result, or with an error of :mod:`modelane.errors`."""

    result: dict[str, Any] | None = None
    code: str = ""
    sentence: str = ""

    @classmethod
    def of(cls, end: dict[str, Any] | ModelaneError) -> RunOutcome:
        return cls(code=end.code, sentence=str(end)) if isinstance(end, ModelaneError) else cls(end)

    def value(self) -> dict[str, Any] | ModelaneError:
        return from_code(self.code, self.sentence) if self.result is None else self.result


@dataclass(frozen=True, slots=True)
class RunClaim:
    """The right to execute a run of a model, as long as it is renewed."""

    model: str
    id: str  #: of the request, and of the run
    holder: str  #: unique to this attempt; fences off earlier attempts


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """The request has joined a run that another request started. Ask again later."""

    id: str  #: of the run


class RunClaims:
    """The record of runs in Redis.

    Every method raises ``BrokerUnavailable`` if Redis does not answer. It may then be called again.
    """

    def __init__(self, settings: Settings) -> None:
        client = connect(settings)
        self._prefix = settings.prefix
        self._lease_s = settings.lease_s
        self._lists = QueueKeys(RETRAIN_QUEUE, settings.prefix).priorities
        self._claim = Script(client, "claim")
        self._conclude = Script(client, "conclude")

    def acquire(self, model: str, id_: str) -> RunClaim | RunInProgress | RunOutcome:
        """Claim a model for a request, join the run in progress, or return the outcome of a joined run."""
        return self._acquire(RunClaim(model, id_, os.urandom(8).hex()))

    def renew(self, claim: RunClaim) -> None:
        """Extend the lease of a claim.

        Raises:
            RunEnded: another trainer has taken over the run.
        """
        if not isinstance(self._acquire(claim), RunClaim):
            raise RunEnded(f"another trainer has taken over this run of {claim.model}")

    def finish(self, claim: RunClaim, outcome: RunOutcome | None) -> None:
        """Release a claim and share the outcome with all requests that have joined.

        Args:
            claim: to release. A claim that another trainer has taken over is ignored.
            outcome: None lets each joined request start a run of its own.
        """
        self._release(claim, b"none" if outcome is None else msgspec.json.encode(outcome))

    def hand_over(self, claim: RunClaim) -> None:
        """Release a claim so that another trainer can resume the same run immediately."""
        self._release(claim, b"again")

    def _acquire(self, claim: RunClaim) -> RunClaim | RunInProgress | RunOutcome:
        lease_s = self._lease_s
        with broker_errors():
            status, *values = self._claim(
                keys=(self._key(claim.model),),
                args=(claim.id, claim.holder, lease_s, lease_s, RUN_TTL_S),
            )
        match status:
            case b"run":
                return claim
            case b"wait":
                return RunInProgress(values[0].decode())
        return msgspec.json.decode(values[0], type=RunOutcome)

    def _release(self, claim: RunClaim, outcome: bytes) -> None:
        with broker_errors():
            self._conclude(
                keys=(self._key(claim.model), *self._lists),
                args=(claim.holder, outcome, RUN_TTL_S, MAX_WAITING, MAX_BYTES),
            )

    def _key(self, model: str) -> str:
        return f"{self._prefix}{RUN_KEY_PREFIX}{model}"
