"""What one caller asks for: the arguments of ``modelane.predict``, checked.  wire → REQUEST → engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelane.data.tensor import Tensor
from modelane.errors import BadInput
from modelane.protocol.message import Body, Envelope


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One caller's rows.

    Attributes:
        id: the answer is stored under it.
        model: a name; the worker chooses the version.
        rows: a tensor, a list of rows or of records, or a map of columns; not looked at yet.
        method: what to call on the model.
        columns: names of the rows' columns, in their order, where rows do not name them.
        params: keyword arguments of the method; never mixed with another request's.
        version: the one that has to answer; None for the champion.
    """

    id: str
    model: str
    rows: Any
    method: str = "predict"
    columns: tuple[str, ...] | None = None
    params: dict[str, Any] = {}
    version: str | None = None


class _Arguments(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    model: str
    rows: Any
    method: str = "predict"
    columns: tuple[str, ...] | None = None
    params: dict[str, str | int | float | bool | None] | None = None
    version: str | None = None


def read_request(envelope: Envelope, body: Body) -> Request:
    """Raises :class:`BadInput`: arguments that ``modelane.predict`` does not have."""
    args, kwargs, _ = body
    return request_of(envelope.headers.id, args, kwargs)


def request_of(id_: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Request:
    """What a call of ``modelane.predict`` asks for; rows may come first where the model is named.

    So a link of a chain can be ``signature("modelane.predict", kwargs={"model": "churn"})``: Celery puts the
    result of the link before it in front.

    Raises:
        BadInput: arguments that it does not have.
    """
    names = [name for name in ("model", "rows") if name not in kwargs]
    if len(args) > len(names):
        raise BadInput(f"modelane.predict takes (model, rows), {len(args)} arguments came")
    named = dict(zip(names, args, strict=False)) | kwargs
    try:
        a = msgspec.convert(named, _Arguments)
    except msgspec.ValidationError as exc:
        raise BadInput(f"modelane.predict(model, rows, method, columns, params, version): {exc}") from exc
    return Request(
        id=id_,
        model=a.model,
        rows=a.rows,
        method=a.method,
        columns=a.columns,
        params=a.params or {},
        version=a.version,
    )


def redact(envelope: Envelope, body: Body) -> None:
    """Describe the arguments anew: other clients describe them by showing them."""
    args, kwargs, _ = body
    rows = kwargs.get("rows", args[-1] if args else None)
    envelope.headers.argsrepr, envelope.headers.kwargsrepr = f"({describe(rows)})", "{}"


def describe(rows: Any) -> str:
    """What rows are, for Flower and logs; never what they hold."""
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
