"""Encode and decode messages: Celery's protocol 2 with a body in JSON or MessagePack.

    message   {"attempts": n, "rows": n, "sent_s": t, "body": base64, "content-type": …,
               "headers": {…}, "properties": {…}}
    body      [args, kwargs, embed]; args = [model, rows], kwargs = method, columns, params, version

The first three fields of a message are Modelane's and optional. kombu ignores them, so any Celery client can
write a message, and any Celery worker can read one of Modelane's client. This module never unpickles, and
never allocates memory by a number from a message.

Structs of which there is one per request have ``gc=False``, here and elsewhere: they are in no reference
cycle, and thousands of them would make Python's garbage collector traverse all of scikit-learn, 0.1 s each
time.
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
from modelane.protocol.iso8601 import format_deadline, parse_time

CONTENT_TYPE = "application/x-modelane"
JSON_TYPE = "application/json"

Form = Literal["json", "msgpack"]

_T = TypeVar("_T")


class Headers(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The headers of Celery's protocol that Modelane uses, with Celery's meaning."""

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
    stamped_headers: list[str] | None = None  #: names of ``stamps`` to look at
    stamps: dict[str, Any] | None = None  #: compared by ``revoke_by_stamped_headers``


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
    """A message whose body is not decoded: enough to identify it and to decide whether it is still wanted."""

    attempts: int = 0  #: workers that were lost with it, counted by the queue
    rows: int = 0  #: number of rows according to the sender; only a hint for the size of a batch
    sent_s: float = 0.0  #: Unix time on the sender's clock; 0 if unknown
    clock_off_s: float = 0.0  #: Redis time minus the sender's; 0 if they differ by less than a second
    body: msgspec.Raw  #: JSON string, not decoded
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")
    headers: Headers
    properties: Properties = msgspec.field(default_factory=Properties)

    @property
    def form(self) -> Form:
        """The format of the body, in which the result is stored too."""
        return "msgpack" if self.content_type == CONTENT_TYPE else "json"

    @property
    def reply_to(self) -> str:
        """Channel of Modelane's client; empty for other clients, whose ``reply_to`` has Celery's meaning."""
        channel = self.properties.reply_to or ""
        return channel if channel.startswith(REPLY_CHANNEL_PREFIX) else ""

    @property
    def expires_s(self) -> float | None:
        """Deadline, in Unix seconds on the clock of Redis."""
        return self._redis_time(self.headers.expires)

    @property
    def eta_s(self) -> float | None:
        """Earliest time to start, in Unix seconds on the clock of Redis."""
        return self._redis_time(self.headers.eta)

    def _redis_time(self, text: str | None) -> float | None:
        return parse_time(text) + self.clock_off_s if text else None


class _Identity(msgspec.Struct):
    id: str
    task: msgspec.Raw = msgspec.Raw(b'""')


class _Addressed(msgspec.Struct):
    """The parts of a message that are needed to report an error to its sender."""

    headers: _Identity
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    content_type: msgspec.Raw = msgspec.field(name="content-type", default=msgspec.Raw(b'""'))


class Embed(msgspec.Struct, gc=False):
    """What Celery's canvas attaches to a task."""

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
    """Decode a message without its body.

    Raises:
        Undecodable: the message is not in Celery's protocol 2.
    """
    try:
        envelope = _envelope_decoder.decode(message)
    except (ValueError, RecursionError) as exc:
        raise Undecodable(f"the message is not in Celery's protocol 2: {exc}") from exc
    envelope.attempts = read_attempts(message)
    if not envelope.reply_to:  # other clients describe arguments by their values: see redaction.redact
        envelope.headers.argsrepr = envelope.headers.kwargsrepr = ""
    return envelope


def read_address(message: bytes) -> Envelope | None:
    """Decode only the sender's address of a message that :func:`read_envelope` cannot decode.

    Returns:
        An envelope with an empty body; None if the message has no id.
    """
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
    """Return the attempts that the queue has counted in the first field; other fields are not the queue's."""
    matched = _ATTEMPTS.match(message)
    return int(matched[1]) if matched else 0


def read_body(envelope: Envelope, *, max_bytes: int = 32 * 2**20) -> Body:
    """Decode the body of a message.

    Args:
        envelope: the message, which names the format of its body.
        max_bytes: maximum size of a compressed body after decompression.

    Raises:
        Undecodable: the body is not in its format, or the format is not accepted (pickle, YAML).
        TooLarge: the decompressed body exceeds ``max_bytes``.
        BadInput: a tensor in the body is invalid.
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
        raise Undecodable(f"the body cannot be decoded as {envelope.content_type}: {exc}") from exc
    raise Undecodable(
        f"content type {envelope.content_type!r:.60} is not accepted: expected {JSON_TYPE} or {CONTENT_TYPE}"
    )


def _body_bytes(envelope: Envelope) -> bytes:
    if envelope.properties.body_encoding == "base64":
        return msgspec.json.decode(envelope.body, type=bytes)  # base64 is how msgspec writes bytes
    return msgspec.json.decode(envelope.body, type=str).encode()


def _read_json_body(raw: bytes) -> Body:
    try:
        return _json_body.decode(raw)
    except msgspec.DecodeError:
        # Python's json, and so stock Celery, reads and writes NaN and Infinity, which standard JSON does not
        # have. It also reads lone surrogates, which no answer could be encoded with: encoding them here
        # raises.
        json.dumps(loaded := json.loads(raw), ensure_ascii=False).encode()
        body: Body = msgspec.convert(loaded, Body)
        return body


def write_message(  # noqa: PLR0913  one per part of a message
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
    """Encode a message of Modelane's client: a MessagePack body in a plain Celery envelope.

    Args:
        id: of the request.
        task: name of the task.
        queue: name of the queue.
        args: positional arguments of the task.
        kwargs: keyword arguments of the task.
        rows: number of rows.
        argsrepr: description of the arguments for monitors.
        reply_to: channel of the client.
        sent_s: Unix time on this machine's clock.
        origin: names the sender, for monitors.
        priority: Celery's 0 to 9.
        expires_s: deadline in Unix seconds; None for no deadline.
        ignore_result: whether to store no result.

    Raises:
        BadInput: an argument has a type that cannot be sent.
    """
    try:
        body = _msgpack_encoder.encode((args, kwargs, Embed()))
    except (NotImplementedError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise BadInput(f"the request cannot be encoded: {exc}") from exc
    expires = None if expires_s is None else format_deadline(expires_s)
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
