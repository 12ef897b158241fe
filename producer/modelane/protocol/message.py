"""Messages: Celery's protocol 2 on the outside, JSON or MessagePack inside.

    message   {"attempts": n, "rows": n, "sent_s": t, "body": base64, "content-type": …,
               "headers": {…}, "properties": {…}}
    body      [args, kwargs, embed]; args = [model, rows], kwargs = method, columns, params, version

The first three fields of a message are ours and optional: kombu ignores them, so any Celery client can
write a message and any Celery worker can read ours.  Nothing here allocates by a number that came from
outside, and nothing unpickles.

What there is one of for each request is ``gc=False``, here and elsewhere: it is in no cycle, and thousands of
them at once would have Python's collector look through all of scikit-learn, 0.1 s each time.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeVar

import msgspec

from modelane.data.tensor import from_wire, to_wire
from modelane.errors import BadInput, Undecodable
from modelane.keys import DEFAULT_QUEUE, REPLY_CHANNEL_PREFIX
from modelane.protocol.compression import decompress
from modelane.protocol.iso8601 import read_moment, write_deadline

CONTENT_TYPE = "application/x-modelane"
JSON_TYPE = "application/json"

Form = Literal["json", "msgpack"]

_T = TypeVar("_T")


class Headers(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The protocol's headers that matter here; Celery's meaning."""

    task: str
    id: str
    lang: str = ""
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    expires: str | None = None
    eta: str | None = None
    retries: int | None = 0
    ignore_result: bool | None = False
    argsrepr: str | None = ""
    kwargsrepr: str | None = ""
    origin: str | None = ""
    compression: str | None = None
    stamped_headers: list[str] | None = None  #: names in ``stamps`` that count
    stamps: dict[str, Any] | None = None  #: what ``revoke_by_stamped_headers`` looks at


class DeliveryInfo(msgspec.Struct, omit_defaults=True, gc=False):
    exchange: str | None = None
    routing_key: str | None = None


class Properties(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    correlation_id: str | None = None
    reply_to: str | None = None
    delivery_mode: int | None = None
    delivery_info: DeliveryInfo | None = None
    priority: int | None = None
    body_encoding: str | None = None
    delivery_tag: str | None = None


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A message without its body's meaning: enough to say whose it is and whether it is still wanted."""

    attempts: int = 0  #: workers that were lost with it, as the queue has noted in front
    rows: int = 0  #: what the sender says; a hint for the batch's size, nothing else
    sent_s: float = 0.0  #: Unix time on the sender's clock; 0 if it does not say
    clock_off_s: float = 0.0  #: what makes Redis time of the sender's; 0 if its clock is right enough
    body: msgspec.Raw  #: a JSON string, not looked at before somebody wants it
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")
    headers: Headers
    properties: Properties = msgspec.field(default_factory=Properties)

    @property
    def form(self) -> Form:
        return "msgpack" if self.content_type == CONTENT_TYPE else "json"

    @property
    def reply_to(self) -> str:
        """Our client's channel; empty for others, whose ``reply_to`` means something else to Celery."""
        channel = self.properties.reply_to or ""
        return channel if channel.startswith(REPLY_CHANNEL_PREFIX) else ""

    @property
    def expires_s(self) -> float | None:
        return self._redis_time(self.headers.expires)

    @property
    def eta_s(self) -> float | None:
        return self._redis_time(self.headers.eta)

    def _redis_time(self, moment: str | None) -> float | None:
        return read_moment(moment) + self.clock_off_s if moment else None


class _Who(msgspec.Struct):
    id: str
    task: msgspec.Raw = msgspec.Raw(b'""')


class _Addressed(msgspec.Struct):
    """What has to be right in a message so that somebody can be told what is wrong with it."""

    headers: _Who
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    content_type: msgspec.Raw = msgspec.field(name="content-type", default=msgspec.Raw(b'""'))


class Embed(msgspec.Struct, gc=False):
    """What Celery's canvas hangs on a task."""

    callbacks: list[Any] | None = None
    errbacks: list[Any] | None = None
    chain: list[Any] | None = None
    chord: Any = None


Body = tuple[list[Any], dict[str, Any], Embed]


_ATTEMPTS = re.compile(rb'\{"attempts":(\d{1,9}),')

_envelope_decoder = msgspec.json.Decoder(Envelope)
_msgpack_encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)
_json_body: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_msgpack_body: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(Body, ext_hook=from_wire)


def read_envelope(message: bytes) -> Envelope:
    """Raises :class:`Undecodable`: not a Celery protocol-2 message."""
    try:
        envelope = _envelope_decoder.decode(message)
    except (ValueError, RecursionError) as exc:
        raise Undecodable(f"not a Celery message of protocol 2: {exc}") from exc
    envelope.attempts = read_attempts(message)
    if not envelope.reply_to:  # other clients describe arguments by showing them: see request.redact
        envelope.headers.argsrepr = envelope.headers.kwargsrepr = ""
    return envelope


def read_address(message: bytes) -> Envelope | None:
    """Whose a message is that :func:`read_envelope` cannot read, and no more; None if it says no id."""
    try:
        addressed = msgspec.json.decode(message, type=_Addressed)
    except (ValueError, RecursionError):
        return None
    return Envelope(
        body=msgspec.Raw(b'""'),
        content_type=_or_default(addressed.content_type, ""),
        content_encoding="",
        headers=Headers(task=_or_default(addressed.headers.task, ""), id=addressed.headers.id),
        properties=_or_default(addressed.properties, Properties()),
    )


def _or_default(raw: msgspec.Raw, default: _T) -> _T:
    try:
        return msgspec.json.decode(raw, type=type(default))
    except (ValueError, RecursionError):
        return default


def read_attempts(message: bytes) -> int:
    """What the queue has noted in front; a field of that name anywhere else is the sender's invention."""
    noted = _ATTEMPTS.match(message)
    return int(noted[1]) if noted else 0


def read_body(envelope: Envelope, *, max_bytes: int = 32 * 2**20) -> Body:
    """Decode the body, its form as the envelope says.

    Args:
        envelope: of the message.
        max_bytes: of a body that comes compressed, once it is not any more.

    Raises:
        Undecodable: not base64, not in the form it says, or in a form that is not taken (pickle, YAML).
        TooLarge: more than ``max_bytes`` when decompressed.
        BadInput: a tensor in it is not sound.
    """
    try:
        raw = _body_bytes(envelope)
        if envelope.headers.compression:
            raw = decompress(raw, envelope.headers.compression, max_bytes)
        if envelope.content_type == CONTENT_TYPE:
            return _msgpack_body.decode(raw)
        if envelope.content_type == JSON_TYPE:
            return _read_json_body(raw)
    except (ValueError, RecursionError) as exc:
        raise Undecodable(f"the body cannot be read as {envelope.content_type}: {exc}") from exc
    raise Undecodable(
        f"content type {envelope.content_type!r:.60} is not taken: {JSON_TYPE} or {CONTENT_TYPE}"
    )


def _body_bytes(envelope: Envelope) -> bytes:
    if envelope.properties.body_encoding == "base64":
        return msgspec.json.decode(envelope.body, type=bytes)  # base64 is how msgspec writes bytes
    return msgspec.json.decode(envelope.body, type=str).encode()


def _read_json_body(raw: bytes) -> Body:
    try:
        return _json_body.decode(raw)
    except msgspec.DecodeError:
        # Python's json writes NaN and Infinity, which no standard has; stock Celery sends and reads them.
        # It also reads half a surrogate pair, which no answer could then be written with.
        json.dumps(loaded := json.loads(raw), ensure_ascii=False).encode()
        body: Body = msgspec.convert(loaded, Body)
        return body


def write_message(  # noqa: PLR0913  a message has this many parts
    *,
    id: str,  # noqa: A002  Celery's name
    task: str,
    queue: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    rows: int,
    argsrepr: str,
    reply_to: str,
    sent_s: float,
    origin: str,
    priority: int = 0,
    expires_s: float | None = None,
    ignore_result: bool = False,
) -> bytes:
    """One message of our client: MessagePack body in a plain Celery envelope.

    Raises:
        BadInput: an argument is of a type that does not travel.
    """
    try:
        body = _msgpack_encoder.encode((args, kwargs, Embed()))
    except (NotImplementedError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise BadInput(f"the request cannot be sent: {exc}") from exc
    expires = None if expires_s is None else write_deadline(expires_s)
    return msgspec.json.encode(
        Envelope(
            rows=rows,
            sent_s=sent_s,
            body=msgspec.Raw(msgspec.json.encode(body)),  # base64
            content_type=CONTENT_TYPE,
            content_encoding="binary",
            headers=Headers(
                task=task,
                id=id,
                lang="py",
                root_id=id,
                expires=expires,
                ignore_result=ignore_result,
                argsrepr=argsrepr,
                kwargsrepr="{}",
                origin=origin,
            ),
            properties=Properties(
                correlation_id=id,
                reply_to=reply_to,
                delivery_mode=2,
                delivery_info=DeliveryInfo("", queue or DEFAULT_QUEUE),
                priority=priority,
                body_encoding="base64",
                delivery_tag=id,
            ),
        )
    )
