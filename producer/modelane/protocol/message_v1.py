"""Convert messages of Celery's protocol 1, which some clients in other languages still send, to protocol 2.

In protocol 1 everything is in the body: ``{"task", "id", "args", "kwargs", "expires", "eta", "callbacks",
…}``. Protocol 2 has most of it in the headers, and ``[args, kwargs, embed]`` in the body.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec

from modelane.errors import Undecodable
from modelane.protocol.message import JSON_TYPE, Embed, Envelope, Headers, Properties, read_attempts


class _Message(msgspec.Struct, kw_only=True):
    body: str
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")
    properties: Properties = msgspec.field(default_factory=Properties)


class _Task(msgspec.Struct, kw_only=True):
    task: str
    id: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    taskset: str | None = None
    retries: int | None = 0
    eta: str | None = None
    expires: str | None = None
    callbacks: list[Any] | None = None
    errbacks: list[Any] | None = None
    chord: Any = None


def read_envelope(message: bytes) -> Envelope:
    """Convert a message to protocol 2, with arguments described only by their number.

    Raises:
        Undecodable: the message is not in protocol 1 either, or its body is not JSON.
    """
    try:
        outer = msgspec.json.decode(message, type=_Message)
        if outer.content_type != JSON_TYPE:
            raise Undecodable(
                f"content type {outer.content_type!r:.60} is not accepted: expected {JSON_TYPE}"
            )
        encoded = outer.properties.body_encoding == "base64"
        inner = base64.b64decode(outer.body) if encoded else outer.body
        task = msgspec.convert(json.loads(inner), _Task)
        # Python's json reads lone surrogates, with which no answer or event could be encoded: this raises for
        # them.
        f"{task.task}{task.id}{task.taskset}{task.eta}{task.expires}".encode()
    except (ValueError, RecursionError) as exc:
        raise Undecodable(f"the message is not in Celery's protocol 1 or 2: {exc}") from exc
    embed = Embed(callbacks=task.callbacks, errbacks=task.errbacks, chord=task.chord)
    body = json.dumps([task.args, task.kwargs, msgspec.to_builtins(embed)])
    properties = msgspec.structs.replace(outer.properties, body_encoding=None)
    return Envelope(
        attempts=read_attempts(message),
        body=msgspec.Raw(msgspec.json.encode(body)),
        content_type=outer.content_type,
        content_encoding=outer.content_encoding,
        headers=Headers(
            task=task.task,
            id=task.id,
            root_id=task.id,
            group=task.taskset,
            expires=task.expires,
            eta=task.eta,
            retries=task.retries,
            argsrepr=f"({len(task.args)} arguments)",
        ),
        properties=properties,
    )
