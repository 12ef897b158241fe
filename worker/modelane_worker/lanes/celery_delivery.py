"""Deliver a leased message to Celery's consumer, as if it came from any broker: to be run, or to be refused.

Called by :mod:`modelane_worker.lanes.celery_handoff`. Celery then sends the events, applies time limits and
retries, stores the result and calls what is linked.
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
from modelane_worker.lanes.admission import Handoff


def run(
    handoff: Handoff,
    consumer: Any,
    *,
    ack: Callable[[Handoff], None],
    reject: Callable[[Handoff, bool], None],
) -> None:
    """Have Celery run a message; call this in the thread of its event loop.

    Args:
        handoff: its task is registered.
        consumer: Celery's.
        ack: called from any thread when the result is stored.
        reject: called from any thread if the task rejects the message, with whether to run it again.
    """
    message = _as_kombu(handoff, consumer.app.conf.accept_content)
    payload = None if "task" in message.headers else message.decode()  # protocol 1
    for described in (message.headers, payload or {}):
        described["eta"] = None  # it has passed by the clock of Redis; Celery would use this machine's clock
    consumer.strategies[handoff.envelope.headers.task](
        message,
        payload,
        lambda *_: ack(handoff),
        lambda _logger, _errors, requeue=False: reject(handoff, requeue),
        consumer.on_task_message,
    )


def refuse(handoff: Handoff, error: ModelaneError, consumer: Any) -> None:
    """Have Celery pass an error to the caller, the chord, the rest of the chain and the errbacks."""
    message = _as_kombu(handoff, consumer.app.conf.accept_content)
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
        # Decided by the clock of Redis; Celery would use this machine's clock.
        worker_state.revoked.add(request.id)
        request.revoked()
        return
    try:
        raise error
    except ModelaneError:
        request.on_failure(ExceptionInfo())


def _as_kombu(handoff: Handoff, accept: list[str]) -> Message:
    """Return the message as kombu would have delivered it, its arguments described as the lane does.

    Args:
        handoff: its body was read by :mod:`modelane.protocol.message`, so it is well-formed.
        accept: content types of a body that may be decoded.
    """
    raw = msgspec.json.decode(handoff.message)
    properties = raw.get("properties") or {}
    body = raw["body"]
    headers = handoff.envelope.headers
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
    """Return the arguments that ``Request`` needs for a message of protocol 1; none for protocol 2."""
    if "task" in message.headers:
        return {}
    body, headers, decoded, utc = hybrid_to_proto2(message, message.decode())
    return {"body": body, "headers": headers, "decoded": decoded, "utc": utc}
