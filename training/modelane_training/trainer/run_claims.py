"""One run of a model at a time, whatever asks for it and however many trainers there are.

service → CLAIMS → Redis.  The first request claims the model and is run.  Others that come until it ends
wait, and get its outcome.  A trainer that is lost stops renewing; the same request, which the queue gives to
another trainer, claims the model again and goes on with the run.
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

#: Requests that wait in the queue and are looked at when a run ends, and their size in bytes: they are short.
MAX_WAITING, MAX_BYTES = 1000, 16_384


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run ended: with a result, or an error of :mod:`modelane.errors`."""

    result: dict[str, Any] | None = None
    code: str = ""
    sentence: str = ""

    @classmethod
    def of(cls, end: dict[str, Any] | ModelaneError) -> Outcome:
        return cls(code=end.code, sentence=str(end)) if isinstance(end, ModelaneError) else cls(end)

    def value(self) -> dict[str, Any] | ModelaneError:
        return from_code(self.code, self.sentence) if self.result is None else self.result


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to retrain a model, as long as it is renewed."""

    model: str
    id: str  #: of the request, and of the run
    holder: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Another run of the model goes on; ask again later."""

    id: str


class Claims:
    """Every method raises ``BrokerUnavailable`` if Redis does not answer, and may then be called again."""

    def __init__(self, settings: Settings) -> None:
        client = connect(settings)
        self._prefix = settings.prefix
        self._lease_s = settings.lease_s
        self._lists = QueueKeys(RETRAIN_QUEUE, settings.prefix).priorities
        self._claim = Script(client, "claim")
        self._conclude = Script(client, "conclude")

    def ask(self, model: str, id_: str) -> Claim | UnderWay | Outcome:
        """Claim a model for a request, or learn why it need not be run, or not now."""
        claim = Claim(model, id_, os.urandom(8).hex())
        return self._ask(claim)

    def renew(self, claim: Claim) -> None:
        """Keep it.

        Raises:
            RunEnded: another trainer has taken the run over.
        """
        if not isinstance(self._ask(claim), Claim):
            raise RunEnded(f"another trainer has taken this run of {claim.model} over")

    def end(self, claim: Claim, outcome: Outcome | None) -> None:
        """Give it up, with what all get who asked up to now; None: they may begin a run of their own."""
        self._give_up(claim, b"none" if outcome is None else msgspec.json.encode(outcome))

    def hand_on(self, claim: Claim) -> None:
        """Give it up because the same run goes on elsewhere."""
        self._give_up(claim, b"again")

    def _ask(self, claim: Claim) -> Claim | UnderWay | Outcome:
        lease_s = self._lease_s
        with broker_errors():
            answer, *said = self._claim(
                keys=(self._key(claim.model),),
                args=(claim.id, claim.holder, lease_s, lease_s, RUN_TTL_S),
            )
        match answer:
            case b"run":
                return claim
            case b"wait":
                return UnderWay(said[0].decode())
        return msgspec.json.decode(said[0], type=Outcome)

    def _give_up(self, claim: Claim, outcome: bytes) -> None:
        with broker_errors():
            self._conclude(
                keys=(self._key(claim.model), *self._lists),
                args=(claim.holder, outcome, RUN_TTL_S, MAX_WAITING, MAX_BYTES),
            )

    def _key(self, model: str) -> str:
        return f"{self._prefix}{RUN_KEY_PREFIX}{model}"
