"""Dead letters: what was given up, for a person to look at, send again, or drop.  settle → DEAD → put."""

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
    """A message that is not tried any more.

    Attributes:
        queue: where it was.
        id: of the request; starts with ``?`` if the message did not say.
        reason: why it was buried, in words.
        message: as it lay in the queue; holds the caller's rows.
    """

    queue: str
    id: str
    reason: str
    message: bytes

    @property
    def envelope(self) -> wire.Envelope | None:
        """None if it is not a Celery message: then it cannot be redriven either."""
        for read in (wire.read_envelope, message_v1.read_envelope):
            with suppress(Undecodable):
                return read(self.message)
        return None


class DeadLetters:
    """The dead letters of all queues behind one prefix.

    Every method raises what :func:`modelane.broker.connection.broker_errors` raises.
    """

    def __init__(self, client: redis.Redis, prefix: str = "") -> None:
        self._redis = client
        self._prefix = prefix
        self._redrive = Script(client, "redrive")

    def queues(self) -> list[str]:
        """Those that have any, sorted."""
        pattern = f"{_literally(self._prefix)}{QUEUE_PREFIX}*{DEAD_SUFFIX}"
        with broker_errors():
            keys = [key.decode() for key in self._redis.scan_iter(match=pattern)]
        return sorted(key.removeprefix(self._prefix).removesuffix(DEAD_SUFFIX) for key in keys)

    def of(self, queue: str) -> Iterator[DeadLetter]:
        """One after another; a long list never lies in memory as a whole."""
        with broker_errors():
            for id_, letter in self._redis.hscan_iter(self._keys(queue).dead):
                yield _letter(queue, id_.decode(errors="replace"), letter)

    def find(self, id_: str) -> DeadLetter | None:
        """The dead letter of a request, in whichever queue."""
        for queue in self.queues():
            with broker_errors():
                letter: Any = self._redis.hget(self._keys(queue).dead, id_)
            if letter is not None:
                return _letter(queue, id_, letter)
        return None

    def redrive(self, letter: DeadLetter) -> bool:
        """Put it back with no attempts counted and no deadline, which has passed by now as a rule.

        False if somebody was faster, or it is no message.
        """
        envelope = letter.envelope
        if envelope is None:
            return False
        keys = self._keys(letter.queue)
        waiting = keys.priorities[priority_step(envelope.properties.priority or 0)]
        result = self._prefix + RESULT_KEY_PREFIX + letter.id
        with broker_errors():
            args = (letter.id, _as_new(letter.message, envelope))
            return bool(self._redrive(keys=(keys.dead, waiting, result), args=args))

    def drop(self, letter: DeadLetter) -> bool:
        """Forget it; False if somebody was faster."""
        with broker_errors():
            return bool(self._redis.hdel(self._keys(letter.queue).dead, letter.id))

    def _keys(self, queue: str) -> QueueKeys:
        return QueueKeys(queue, self._prefix)


def _letter(queue: str, id_: str, stored: bytes) -> DeadLetter:
    reason, _, message = stored.partition(b"\n")
    return DeadLetter(queue, id_, reason.decode(errors="replace"), message)


def _as_new(message: bytes, envelope: wire.Envelope) -> bytes:
    """Without attempts and deadline; otherwise the same, though what was of protocol 1 is of 2 then."""
    fields = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
    headers = msgspec.json.decode(fields.get("headers", b"null"), type=dict[str, msgspec.Raw] | None)
    if headers is None or "task" not in headers:
        envelope.headers.expires = None
        return msgspec.json.encode(msgspec.structs.replace(envelope, attempts=0))
    fields.pop("attempts", None)
    if "expires" in headers:
        fields["headers"] = msgspec.Raw(msgspec.json.encode(headers | {"expires": msgspec.Raw(b"null")}))
    return msgspec.json.encode(fields)


def _literally(text: str) -> str:
    """``text`` as a pattern of Redis that matches nothing else."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
