"""Encode results as Celery's result documents, in the format of the request.

    result    {"task_id", "status", "result": {"model", "version", "method", "values", …}, …}

The result of a JSON request is JSON, which any ``AsyncResult`` can read. That of a MessagePack request is
MessagePack, which Modelane's client can read, and ``AsyncResult`` through :mod:`modelane.app`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelane.data.tensor import to_builtin, to_wire
from modelane.errors import Expired, ModelaneError, NotAnswered, PredictionFailed, Revoked
from modelane.protocol.iso8601 import format_time
from modelane.protocol.message import Envelope

#: Maximum length of an error message, in characters; the exception of a model may repeat all of its rows.
MAX_MESSAGE = 1000

#: State of a request that reports its progress; Celery allows custom states.
PROGRESS = "PROGRESS"

_json_encoder = msgspec.json.Encoder(enc_hook=to_builtin)
_msgpack_encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)


class ResultDocument(msgspec.Struct, kw_only=True, gc=False):
    """Celery's result document."""

    task_id: str
    status: str
    result: Any
    traceback: str | None = None
    children: list[Any] | None = []
    date_done: str | None = None
    group_id: str | None = None
    parent_id: str | None = None


def write_result(envelope: Envelope, value: Any, now_s: float) -> bytes:
    """Encode the result of a request that was answered.

    Args:
        envelope: the message of the request.
        value: what ``AsyncResult.get`` returns. If it cannot be encoded, the result is a failure.
        now_s: Unix time.
    """
    try:
        return _document(envelope, "SUCCESS", value, now_s)
    except Exception as exc:  # objects in a model's answer may raise anything
        error = PredictionFailed(f"the model's answer cannot be encoded: {exc}")
        return write_failure(envelope, error, now_s)


def write_progress(envelope: Envelope, progress: dict[str, Any], now_s: float) -> bytes:
    """Encode the progress of a running request, as ``AsyncResult.state`` and ``.info`` show it."""
    return _document(envelope, PROGRESS, progress, now_s)


def write_failure(envelope: Envelope, error: ModelaneError, now_s: float) -> bytes:
    """Encode the result of a request that was not answered, in Celery's format."""
    status, name, module = "FAILURE", error.code, "modelane.errors"
    # Lone surrogates, which some JSON contains, cannot be encoded.
    message = str(error)[:MAX_MESSAGE].encode(errors="replace").decode()
    if isinstance(error, Expired | Revoked):
        status = "REVOKED"
        if envelope.form == "json":  # a stock client expects Celery's own exception
            name, module = "TaskRevokedError", "celery.exceptions"
    failure = {"exc_type": name, "exc_message": [message], "exc_module": module}
    return _document(envelope, status, failure, now_s)


def write_placeholder(id_: str, *, is_ignored: bool) -> bytes:
    """Encode what is stored under an id that the caller chose until the result replaces it.

    Args:
        id_: of the request.
        is_ignored: whether no result will be stored; the placeholder then is a failure that says so.
    """
    if not is_ignored:
        return _msgpack_encoder.encode(ResultDocument(task_id=id_, status="PENDING", result=None))
    message = f"the request {id_} was sent with ignore_result: its answer is not stored"
    failure = {"exc_type": NotAnswered.__name__, "exc_message": [message], "exc_module": "modelane.errors"}
    return _msgpack_encoder.encode(ResultDocument(task_id=id_, status="FAILURE", result=failure))


def _document(envelope: Envelope, status: str, result: object, now_s: float) -> bytes:
    encode = _msgpack_encoder.encode if envelope.form == "msgpack" else _json_encoder.encode
    return encode(
        ResultDocument(
            task_id=envelope.headers.id,
            status=status,
            result=result,
            date_done=format_time(now_s),
            group_id=envelope.headers.group,
            parent_id=envelope.headers.parent_id,
        )
    )
