"""A leased message as Celery's consumer knows it: run like one from any broker, or refused.

handover → DELIVERY → Celery, which sends the events, knows time limits and retries, stores the result, and
calls what is linked.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from billiard.einfo import ExceptionInfo
from celery.worker import state as worker_state
from celery.worker.request import Request
from celery.worker.strategy import hybrid_to_proto2
from kombu.message import Message
from kombu.serialization import prepare_accept_content

from modelane.errors import Expired, ModelaneError, Revoked
from modelane_worker.lanes.admission import Foreign


def run(
    item: Foreign,
    consumer: Any,
    *,
    ack: Callable[[Foreign], None],
    reject: Callable[[Foreign, bool], None],
) -> None:
    """Have Celery run it; call in the thread of its event loop.

    Args:
        item: whose task is registered.
        consumer: Celery's.
        ack: called from any thread when its result is stored.
        reject: called from any thread if it is not wanted, with whether it has to run again.
    """
    message = _as_kombu(item, consumer.app.conf.accept_content)
    payload = None if "task" in message.headers else message.decode()  # protocol 1
    for described in (message.headers, payload or {}):
        described["eta"] = None  # it has come by the clock of Redis; Celery would look at this machine's
    consumer.strategies[item.envelope.headers.task](
        message,
        payload,
        lambda *_: ack(item),
        lambda _logger, _errors, requeue=False: reject(item, requeue),
        consumer.on_task_message,
    )


def refuse(item: Foreign, error: ModelaneError, consumer: Any) -> None:
    """Have Celery tell its caller, its chord, the rest of its chain and its errbacks."""
    message = _as_kombu(item, consumer.app.conf.accept_content)
    request = Request(
        message,
        hostname=consumer.hostname,
        eventer=consumer.event_dispatcher,
        app=consumer.app,
        **_in_protocol_2(message),
    )
    described = {"args": request.argsrepr, "kwargs": request.kwargsrepr}
    request.send_event("task-received", name=request.name, **described)
    if isinstance(error, Expired | Revoked):
        # Said by the clock of Redis; Celery would look at this machine's.
        worker_state.revoked.add(request.id)
        request.revoked()
        return
    try:
        raise error
    except ModelaneError:
        request.on_failure(ExceptionInfo())


def _as_kombu(item: Foreign, accept: list[str]) -> Message:
    """The message as kombu would have delivered it, its arguments described as the lane describes them.

    Args:
        item: whose body :mod:`modelane.protocol.message` has read, so it is well-formed.
        accept: forms of a body that may be decoded.
    """
    raw = msgspec.json.decode(item.message)
    properties = raw.get("properties") or {}
    body = raw["body"]
    headers = item.envelope.headers
    return Message(
        body=base64.b64decode(body) if properties.get("body_encoding") == "base64" else body,
        content_type=raw["content-type"],
        content_encoding=raw["content-encoding"],
        headers=(raw.get("headers") or {}) | {"argsrepr": headers.argsrepr, "kwargsrepr": headers.kwargsrepr},
        properties=properties,
        delivery_info=properties.get("delivery_info"),
        accept=prepare_accept_content(accept),
    )


def _in_protocol_2(message: Message) -> dict[str, Any]:
    """What a request has to be told that is made from a message of protocol 1."""
    if "task" in message.headers:
        return {}
    body, headers, decoded, utc = hybrid_to_proto2(message, message.decode())
    return {"body": body, "headers": headers, "decoded": decoded, "utc": utc}
