"""Turn a result into the settlement that Redis stores: which document, for how long, for whom. Pure."""

from __future__ import annotations

from modelane.broker.lease import Settlement
from modelane.errors import ModelaneError
from modelane.protocol import result as documents
from modelane.protocol.message import Envelope
from modelane_worker.lanes.service import Result


def settlement_of(  # noqa: PLR0913  a settlement has this many parts
    tag: bytes,
    envelope: Envelope | None,
    result: Result | None,
    *,
    now_s: float,
    ttl_s: float,
    bury_reason: str = "",
) -> Settlement:
    """Return how a leased message is settled.

    Args:
        tag: of its lease.
        envelope: None if the message names no request id: nobody can be answered.
        result: what the caller gets; None if Celery has stored that already.
        now_s: Unix time, for the document.
        ttl_s: how long a result is kept whose caller wants it.
        bury_reason: not empty if the message becomes a dead letter.
    """
    if envelope is None:
        return Settlement(tag, f"?{tag.decode()}", b"", 0, bury_reason=bury_reason)
    headers = envelope.headers
    if result is None:
        return Settlement(tag, headers.id, b"", 0, envelope.reply_to, bury_reason)
    if isinstance(result, ModelaneError):
        document = documents.write_failure(envelope, result, now_s)
    else:
        document = documents.write_result(envelope, result, now_s)
    kept_s = 0 if headers.ignore_result else ttl_s
    return Settlement(tag, headers.id, document, kept_s, envelope.reply_to, bury_reason)
