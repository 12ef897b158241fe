"""Modelane's serializer for kombu: MessagePack with arrays, registered by :mod:`modelane.app`."""

from __future__ import annotations

from typing import Any

import msgspec

from modelane.data.tensor import from_wire, to_wire

_encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)


def dumps(value: Any) -> bytes:
    """kombu serializer: any value of ours, as MessagePack."""
    return _encoder.encode(value)


def loads(data: bytes | str) -> Any:
    """kombu serializer: MessagePack of ours, or JSON; arrays come back as numpy arrays.

    Both, because Modelane's own Celery app reads results of every client.
    """
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if raw[:1] in b"{[":
        # MessagePack never starts so here: our documents are maps (0x80…) and our bodies arrays (0x90…).
        return msgspec.json.decode(raw)
    return msgspec.msgpack.decode(raw, ext_hook=lambda code, payload: from_wire(code, payload).array())
