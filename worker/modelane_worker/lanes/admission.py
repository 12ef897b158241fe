"""Decide what happens to a reserved message before it is served: serve, hand off, refuse or defer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelane.broker.lease import Lease
from modelane.errors import Buried, Expired, ModelaneError, RequestError, Revoked, TooLarge, Undecodable
from modelane.protocol import message as wire
from modelane.protocol import message_v1
from modelane.protocol.redaction import redact
from modelane.settings import Settings
from modelane_worker.lanes.service import Call, Deferred, Service


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is answered with an error without being served.

    Attributes:
        envelope: None if the message names no request id, so that nobody can be answered.
        bury: whether the message becomes a dead letter.
        counts_as_run: whether monitors and statistics show it as a task that ran: its arguments were wrong,
            not its message or its deadline.
    """

    tag: bytes
    envelope: wire.Envelope | None
    error: ModelaneError
    bury: bool = False
    counts_as_run: bool = False


@dataclass(frozen=True, slots=True)
class Handoff:
    """A message that Celery's own consumer runs.

    Attributes:
        refused: why it must not run any more; Celery then informs its caller and its chord.
    """

    tag: bytes
    message: bytes
    envelope: wire.Envelope
    refused: ModelaneError | None


class Admission:
    """Admits the messages of one lane. Thread-safe if its arguments are.

    Args:
        service: parses the requests.
        settings: limits of attempts and of bytes.
        is_revoked: whether a message was revoked.
        is_handoff: whether Celery's own consumer runs a message.
    """

    def __init__(
        self,
        service: Service[Any],
        settings: Settings,
        *,
        is_revoked: Callable[[wire.Headers], bool],
        is_handoff: Callable[[wire.Envelope, wire.Body], bool],
    ) -> None:
        self._parse = service.admit
        self._max_attempts = settings.max_attempts
        self._max_bytes = settings.max_request_bytes
        self._is_revoked = is_revoked
        self._is_handoff = is_handoff

    def admit(
        self, lease: Lease, now_s: float, reserved_s: float
    ) -> Call[Any] | Handoff | Refused | Deferred:
        """Decide about a message that was just reserved.

        Args:
            lease: as it was reserved.
            now_s: Redis time, Unix seconds; the clock of this machine may be wrong.
            reserved_s: ``time.perf_counter`` when it was reserved.

        Raises:
            BrokerUnavailable: the service asks Redis, and Redis does not answer.
            BrokerRefused: the service asks Redis, and an operator must act.
        """
        envelope: wire.Envelope | None = None
        body: wire.Body | None = None
        try:
            envelope = self._read_envelope(lease.message)
            if len(lease.message) > self._max_bytes:
                raise TooLarge(
                    f"the message has {len(lease.message)} bytes, more than the {self._max_bytes} of "
                    "MODELANE_MAX_REQUEST_BYTES: send fewer rows in one request"
                )
            is_buried = envelope.attempts >= self._max_attempts
            refused = _buried(envelope.attempts) if is_buried else self._refusal(envelope, now_s)
            if refused is None and (eta_s := envelope.eta_s) is not None and eta_s > now_s:
                return Deferred(lease.tag, eta_s - now_s)
            body = wire.read_body(envelope, max_bytes=self._max_bytes)
            if not envelope.reply_to:
                redact(envelope, body)
            if self._is_handoff(envelope, body):
                return Handoff(lease.tag, lease.message, envelope, refused)
            if refused is not None:
                return Refused(lease.tag, envelope, refused, bury=is_buried)
            request = self._parse(lease.tag, envelope, body)
        except RequestError as error:
            addressed = envelope or wire.read_address(lease.message)
            return Refused(
                lease.tag, addressed, error, bury=addressed is None, counts_as_run=body is not None
            )
        if isinstance(request, Deferred):
            return request
        queued_s = max(0.0, now_s - envelope.sent_s - envelope.clock_off_s) if envelope.sent_s else 0.0
        return Call(lease.tag, envelope, request, len(lease.message), queued_s, reserved_s)

    def admit_again(self, call: Call[Any], now_s: float) -> Call[Any] | Refused:
        """Decide again about a call that was held since it was reserved; ``now_s`` as for :meth:`admit`."""
        refused = self._refusal(call.envelope, now_s)
        return call if refused is None else Refused(call.tag, call.envelope, refused)

    def _read_envelope(self, message: bytes) -> wire.Envelope:
        try:
            return wire.read_envelope(message)
        except Undecodable as exc:
            if wire.read_address(message):  # of protocol 2, with a fault in it
                raise
            if len(message) > self._max_bytes:  # protocol 1 has its id in the body: nobody can be answered
                raise Undecodable(
                    f"{exc}; it has {len(message)} bytes, this lane reads at most {self._max_bytes}"
                ) from exc
            return message_v1.read_envelope(message)

    def _refusal(self, envelope: wire.Envelope, now_s: float) -> Expired | Revoked | None:
        if self._is_revoked(envelope.headers):
            return Revoked("the request was revoked before a worker served it")
        if (expires_s := envelope.expires_s) is not None and expires_s < now_s:
            return Expired(
                f"the request expired {now_s - expires_s:.3f} s before a worker could serve it: "
                "give it more time, or add workers"
            )
        return None


def _buried(attempts: int) -> Buried:
    return Buried(
        f"the request failed in {attempts} attempts: each time its worker was lost or could not answer; "
        "it is now a dead letter (modelane dead list)"
    )
