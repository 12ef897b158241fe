"""Replies: the result documents that workers store and publish.

A document is in Modelane's MessagePack form, or in JSON where Celery itself stored the result (a revoked
task, a task that Celery's own consumer ran).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from modelane.broker.request_control import RequestControl
from modelane.client.answer import Progress
from modelane.data.tensor import from_wire
from modelane.errors import Expired, ModelaneError, Revoked, Undecodable, from_code
from modelane.protocol.result import PROGRESS
from modelane.protocol.serializer import loads

#: Celery's states of a finished task; other states precede them (STARTED, RETRY).
FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
_DELIVERED = FINAL | {PROGRESS}

#: Results that are fetched together; decoding more of them would block other threads for too long.
MAX_KEYS = 128


class Reply(msgspec.Struct, gc=False):
    """The fields of a result document that a client needs."""

    task_id: str
    status: str
    result: Any

    @property
    def progress(self) -> Progress | None:
        """The progress that an unfinished request reports; None if it is finished."""
        if self.status in FINAL:
            return None
        details = self.result if isinstance(self.result, dict) else {}
        return Progress(str(details.get("step", "")), str(details.get("detail", "")))

    def error(self) -> ModelaneError | None:
        """Return the error that a failed request stored; None if it succeeded."""
        if self.status == "SUCCESS":
            return None
        failure: Mapping[str, Any] = self.result if isinstance(self.result, dict) else {}
        code = str(failure.get("exc_type", self.status))
        if self.status == "REVOKED" and code != Expired.__name__:  # Celery stores an exception of its own
            code = Revoked.__name__
        message = failure.get("exc_message") or self.status
        return from_code(code, str(message[0] if isinstance(message, list) else message))


_replies_decoder = msgspec.msgpack.Decoder(list[Reply], ext_hook=from_wire)


def read_published(message: bytes) -> list[Reply]:
    """Decode a message of a reply channel: an array of result documents.

    Raises:
        Exception: any error of decoding; anyone with access to Redis can publish anything.
    """
    return _replies_decoder.decode(message)


def read_stored(requests: RequestControl, ids: Sequence[str]) -> Iterator[Reply]:
    """Fetch the replies that are stored for requests; those without one are left out.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: Redis does not allow it.
    """
    for first in range(0, len(ids), MAX_KEYS):
        chunk = ids[first : first + MAX_KEYS]
        for id_, document in zip(chunk, requests.results(chunk), strict=True):
            if document is not None and (reply := _read(id_, document)).status in _DELIVERED:
                yield reply


def _read(id_: str, document: bytes) -> Reply:
    try:
        return msgspec.convert(loads(document), Reply)
    except Exception as exc:  # anyone with access to Redis can store anything
        failure = {"exc_type": Undecodable.__name__, "exc_message": f"the answer cannot be read: {exc}"}
        return Reply(id_, "FAILURE", failure)
