"""Results: Celery's own document around what a model said, in the form of its request.

    result    {"task_id", "status", "result": {"model", "version", "method", "values", …}, …}

JSON to JSON, readable by any ``AsyncResult``; MessagePack to our client, and to ``AsyncResult`` through
:mod:`modelane.app`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelane.data.tensor import to_builtin, to_wire
from modelane.errors import Expired, ModelaneError, NotAnswered, PredictionFailed, Revoked
from modelane.protocol.iso8601 import write_moment
from modelane.protocol.message import Envelope

#: Characters of an error's sentence; a model's own error may repeat all of its rows.
MAX_SENTENCE = 1000

#: State of a request that says how far it has come; not one of Celery's, as Celery allows it.
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
    """The stored result of a request that was answered; ``value`` is what ``AsyncResult.get`` returns.

    A model may say anything: what cannot be written becomes a failure in words.
    """
    try:
        return _document(envelope, "SUCCESS", value, now_s)
    except Exception as exc:  # whatever the objects in it raise
        error = PredictionFailed(f"the model's answer cannot be sent: {exc}")
        return write_failure(envelope, error, now_s)


def write_progress(envelope: Envelope, progress: dict[str, Any], now_s: float) -> bytes:
    """What is stored of a request that is being computed: ``AsyncResult.state`` and ``.info`` show it."""
    return _document(envelope, PROGRESS, progress, now_s)


def write_failure(envelope: Envelope, error: ModelaneError, now_s: float) -> bytes:
    """The stored result of a request that was not answered, in Celery's own form."""
    status, name, module = "FAILURE", error.code, "modelane.errors"
    # Half a surrogate pair, as some JSON holds, cannot be written again.
    sentence = str(error)[:MAX_SENTENCE].encode(errors="replace").decode()
    if isinstance(error, Expired | Revoked):
        status = "REVOKED"
        if envelope.form == "json":  # a stock client expects Celery's own exception
            name, module = "TaskRevokedError", "celery.exceptions"
    failure = {"exc_type": name, "exc_message": [sentence], "exc_module": module}
    return _document(envelope, status, failure, now_s)


def write_placeholder(id_: str, *, is_ignored: bool) -> bytes:
    """Return what is stored under an id that a caller chose until the result replaces it."""
    if not is_ignored:
        return _msgpack_encoder.encode(ResultDocument(task_id=id_, status="PENDING", result=None))
    sentence = f"{id_} was sent with ignore_result: its answer is not stored"
    failure = {"exc_type": NotAnswered.__name__, "exc_message": [sentence], "exc_module": "modelane.errors"}
    return _msgpack_encoder.encode(ResultDocument(task_id=id_, status="FAILURE", result=failure))


def _document(envelope: Envelope, status: str, result: object, now_s: float) -> bytes:
    encode = _msgpack_encoder.encode if envelope.form == "msgpack" else _json_encoder.encode
    return encode(
        ResultDocument(
            task_id=envelope.headers.id,
            status=status,
            result=result,
            date_done=write_moment(now_s),
            group_id=envelope.headers.group,
            parent_id=envelope.headers.parent_id,
        )
    )
