"""Describe the arguments of a prediction by shape, so that neither Flower nor a log shows their values."""

from __future__ import annotations

from typing import Any

from modelane.data.tensor import Tensor
from modelane.protocol.message import Body, Envelope


def redact(envelope: Envelope, body: Body) -> None:
    """Replace the description of a message's arguments, since other clients describe them by their values."""
    args, kwargs, _ = body
    rows = kwargs.get("rows", args[-1] if args else None)
    envelope.headers.argsrepr, envelope.headers.kwargsrepr = f"({describe(rows)})", "{}"


def describe(rows: Any) -> str:
    """Describe rows by shape and type, never by their values: ``[128x4 rows]``."""
    if isinstance(rows, Tensor):
        return str(rows)
    if isinstance(rows, list):
        first = rows[0] if rows else None
        width = f"x{len(first)}" if isinstance(first, list | dict) else ""
        kind = "records" if isinstance(first, dict) else "rows"
        return f"[{len(rows)}{width} {kind}]"
    if isinstance(rows, dict):
        first = next(iter(rows.values()), None)
        n_rows = first.shape[0] if isinstance(first, Tensor) and first.shape else _length(first)
        return f"[{n_rows}x{len(rows)} columns]"
    return f"[{type(rows).__name__}]"


def _length(column: Any) -> int:
    return len(column) if isinstance(column, list) else 0
