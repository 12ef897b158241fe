"""What becomes of a reserved message before anybody computes: called, refused, or put off.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from modelane.broker.leased_queue import Lease
from modelane.errors import Buried, Expired, ModelaneError, Revoked, TooLarge, Undecodable
from modelane.protocol import message as wire
from modelane.protocol import message_v1
from modelane.protocol.redaction import redact

#: What a service says of a call: the value of its result, or why there is none.
Outcome = dict[str, Any] | ModelaneError


class Call(msgspec.Struct, frozen=True, gc=False):
    """A message that is wanted now.

    Attributes:
        queued_s: from submit to here, by the sender's clock and Redis's; 0 if the sender does not say.
        reserved_s: ``time.perf_counter`` when it was reserved.
    """

    tag: bytes
    message: bytes
    envelope: wire.Envelope
    body: wire.Body
    queued_s: float
    reserved_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is answered with an error at once; without an envelope there is nobody to tell."""

    tag: bytes
    envelope: wire.Envelope | None
    error: ModelaneError
    bury: bool = False


@dataclass(frozen=True, slots=True)
class Foreign:
    """A message that Celery's own consumer runs.

    Attributes:
        refused: why it must not run any more; Celery then tells its caller, and its chord.
    """

    tag: bytes
    message: bytes
    envelope: wire.Envelope
    refused: ModelaneError | None


@dataclass(frozen=True, slots=True)
class Later:
    """A message whose ETA is still to come."""

    tag: bytes
    delay_s: float


def admit(  # noqa: PLR0913  an argument for each reason
    lease: Lease,
    now_s: float,
    *,
    is_revoked: Callable[[wire.Headers], bool],
    is_foreign: Callable[[wire.Envelope, wire.Body], bool],
    max_attempts: int,
    max_bytes: int,
    reserved_s: float,
) -> Call | Foreign | Refused | Later:
    """Decide.

    Args:
        lease: as it was reserved.
        now_s: Redis time: a worker's own clock may be off.
        is_revoked: whether somebody cancelled it.
        is_foreign: whether Celery's own consumer runs it.
        max_attempts: workers that may be lost with a message.
        max_bytes: of a message, and of a compressed body when it is decompressed.
        reserved_s: ``time.perf_counter`` when it was reserved.
    """
    envelope: wire.Envelope | None = None
    try:
        envelope = _read_envelope(lease.message, max_bytes)
        if len(lease.message) > max_bytes:
            raise TooLarge(f"the message takes {len(lease.message)} bytes, this lane allows {max_bytes}")
        buried = envelope.attempts >= max_attempts
        refused = _buried(envelope.attempts) if buried else _refusal(envelope, now_s, is_revoked)
        if refused is None and (eta_s := envelope.eta_s) is not None and eta_s > now_s:
            return Later(lease.tag, eta_s - now_s)
        body = wire.read_body(envelope, max_bytes=max_bytes)
    except Undecodable as error:
        whose = envelope or wire.read_address(lease.message)
        return Refused(lease.tag, whose, error, bury=whose is None)
    except ModelaneError as error:
        return Refused(lease.tag, envelope, error)
    if not envelope.reply_to:
        redact(envelope, body)
    if is_foreign(envelope, body):
        return Foreign(lease.tag, lease.message, envelope, refused)
    if refused is not None:
        return Refused(lease.tag, envelope, refused, bury=buried)
    queued_s = max(0.0, now_s - envelope.sent_s - envelope.clock_off_s) if envelope.sent_s else 0.0
    return Call(lease.tag, lease.message, envelope, body, queued_s, reserved_s)


def refuse_late(call: Call, now_s: float, *, is_revoked: Callable[[wire.Headers], bool]) -> Call | Refused:
    """Decide again about a call that was held for a while; arguments as for :func:`admit`."""
    refused = _refusal(call.envelope, now_s, is_revoked)
    return call if refused is None else Refused(call.tag, call.envelope, refused)


def _read_envelope(message: bytes, max_bytes: int) -> wire.Envelope:
    try:
        return wire.read_envelope(message)
    except Undecodable as exc:
        if wire.read_address(message):  # of protocol 2, with a fault in it
            raise
        if len(message) > max_bytes:  # protocol 1 has its id in the body: nobody can be told
            raise Undecodable(f"{exc}; its {len(message)} bytes are more than this lane reads") from exc
        return message_v1.read_envelope(message)


def _refusal(
    envelope: wire.Envelope, now_s: float, is_revoked: Callable[[wire.Headers], bool]
) -> Expired | Revoked | None:
    if is_revoked(envelope.headers):
        return Revoked("revoked")
    if (expires_s := envelope.expires_s) is not None and expires_s < now_s:
        return Expired(f"expired {now_s - expires_s:.3f} s before a worker came to it")
    return None


def _buried(attempts: int) -> Buried:
    return Buried(
        f"{attempts} attempts came to nothing, their workers lost or not ready to answer; "
        "it is a dead letter now: modelane dead list"
    )
