"""A prediction request: the checked arguments of ``modelane.predict``.

The worker decodes requests from messages; the Celery tasks check arguments before they are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelane.errors import BadInput
from modelane.protocol.message import Body, Envelope


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One caller's rows and how to predict them.

    Attributes:
        id: id under which the answer is stored.
        model: name of the model.
        rows: tensor, list of rows or records, or map of columns; not checked yet.
        method: method of the model to call.
        columns: names of the columns in order, if the rows do not name them.
        params: keyword arguments of the method; requests with different ones are never predicted together.
        version: version that has to answer; None for the champion.
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
    """Return the request in a decoded message.

    Raises:
        BadInput: the arguments are not those of ``modelane.predict``.
    """
    args, kwargs, _ = body
    return request_of(envelope.headers.id, args, kwargs)


def request_of(id_: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Request:
    """Return the request of a call of ``modelane.predict``.

    If the model is a keyword argument, the first positional argument is the rows. So a link of a chain can be
    ``signature("modelane.predict", kwargs={"model": "churn"})``: Celery inserts the previous result in front.

    Raises:
        BadInput: the arguments are not those of ``modelane.predict``.
    """
    names = [name for name in ("model", "rows") if name not in kwargs]
    if len(args) > len(names):
        raise BadInput(f"modelane.predict takes 2 positional arguments (model, rows), but got {len(args)}")
    named = dict(zip(names, args, strict=False)) | kwargs
    try:
        a = msgspec.convert(named, _Arguments)
    except msgspec.ValidationError as exc:
        raise BadInput(
            f"wrong argument of modelane.predict(model, rows, method, columns, params, version): {exc}"
        ) from exc
    return Request(
        id=id_,
        model=a.model,
        rows=a.rows,
        method=a.method,
        columns=a.columns,
        params=a.params or {},
        version=a.version,
    )
