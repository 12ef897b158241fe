"""What one caller asks for: the arguments of ``modelane.predict``, checked.  wire → REQUEST → engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

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
