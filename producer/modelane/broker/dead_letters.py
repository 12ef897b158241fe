"""Dead letters: requests that were given up, for an operator to inspect, redrive or drop.

Settling a request with a reason makes it a dead letter; ``modelane dead`` uses this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.errors import Undecodable
from modelane.keys import DEAD_SUFFIX, QUEUE_PREFIX, RESULT_KEY_PREFIX, QueueKeys, priority_step
from modelane.protocol import message as wire
from modelane.protocol import message_v1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is no longer tried.

    Attributes:
        queue: in which it waited.
        id: of the request; starts with ``?`` if the message has none.
        reason: why it was given up, as text.
        message: as it was in the queue, with the caller's rows.
    """

    queue: str
    id: str
    reason: str
    message: bytes

    @property
    def envelope(self) -> wire.Envelope | None:
        """The decoded message; None if it is not a Celery message, which cannot be redriven either."""
        for read in (wire.read_envelope, message_v1.read_envelope):
            with suppress(Undecodable):
                return read(self.message)
        return None


class DeadLetters:
    """The dead letters of all queues under one prefix.

    Every method raises the errors of :func:`modelane.broker.connection.broker_errors`.
    """

    def __init__(self, client: redis.Redis, prefix: str = "") -> None:
        self._redis = client
        self._prefix = prefix
        self._redrive = Script(client, "redrive")

    def queues(self) -> list[str]:
        """Return the names of the queues that have dead letters, sorted."""
        pattern = f"{_escape(self._prefix)}{QUEUE_PREFIX}*{DEAD_SUFFIX}"
        with broker_errors():
            keys = [key.decode() for key in self._redis.scan_iter(match=pattern)]
        return sorted(key.removeprefix(self._prefix).removesuffix(DEAD_SUFFIX) for key in keys)

    def of(self, queue: str) -> Iterator[DeadLetter]:
        """Iterate over the dead letters of a queue without holding them all in memory."""
        with broker_errors():
            for id_, letter in self._redis.hscan_iter(self._keys(queue).dead):
                yield _letter(queue, id_.decode(errors="replace"), letter)

    def find(self, id_: str) -> DeadLetter | None:
        """Return the dead letter of a request, from any queue, or None."""
        for queue in self.queues():
            with broker_errors():
                letter: Any = self._redis.hget(self._keys(queue).dead, id_)
            if letter is not None:
                return _letter(queue, id_, letter)
        return None

    def redrive(self, letter: DeadLetter) -> bool:
        """Put a dead letter back into its queue, without its attempts and without its deadline.

        Returns:
            False if it no longer exists or is not a Celery message.
        """
        envelope = letter.envelope
        if envelope is None:
            return False
        keys = self._keys(letter.queue)
        waiting = keys.priorities[priority_step(envelope.properties.priority or 0)]
        result = self._prefix + RESULT_KEY_PREFIX + letter.id
        with broker_errors():
            args = (letter.id, _reset(letter.message, envelope))
            return bool(self._redrive(keys=(keys.dead, waiting, result), args=args))

    def drop(self, letter: DeadLetter) -> bool:
        """Delete a dead letter; return False if it no longer exists."""
        with broker_errors():
            return bool(self._redis.hdel(self._keys(letter.queue).dead, letter.id))

    def _keys(self, queue: str) -> QueueKeys:
        return QueueKeys(queue, self._prefix)


def _letter(queue: str, id_: str, stored: bytes) -> DeadLetter:
    reason, _, message = stored.partition(b"\n")
    return DeadLetter(queue, id_, reason.decode(errors="replace"), message)


def _reset(message: bytes, envelope: wire.Envelope) -> bytes:
    """Return a message without attempts and deadline; one of protocol 1 is converted to protocol 2."""
    fields = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
    headers = msgspec.json.decode(fields.get("headers", b"null"), type=dict[str, msgspec.Raw] | None)
    if headers is None or "task" not in headers:
        envelope.headers.expires = None
        return msgspec.json.encode(msgspec.structs.replace(envelope, attempts=0))
    fields.pop("attempts", None)
    if "expires" in headers:
        fields["headers"] = msgspec.Raw(msgspec.json.encode(headers | {"expires": msgspec.Raw(b"null")}))
    return msgspec.json.encode(fields)


def _escape(text: str) -> str:
    """Return a Redis pattern that matches exactly ``text``."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
