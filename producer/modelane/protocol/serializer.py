"""Modelane's serializer for kombu: MessagePack with arrays, registered by :mod:`modelane.app`."""

from __future__ import annotations

from typing import Any

import msgspec

from modelane.data.tensor import from_wire, to_wire

_encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)


def dumps(value: Any) -> bytes:
    """Encode a value as MessagePack, for kombu."""
    return _encoder.encode(value)


def loads(data: bytes | str) -> Any:
    """Decode MessagePack or JSON, for kombu; arrays are returned as numpy arrays.

    It accepts both, because Modelane's Celery application reads the results of all clients.
    """
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if raw[:1] in b"{[":
        # Modelane's MessagePack never starts with these bytes: documents are maps (0x80…), bodies arrays
        # (0x90…).
        return msgspec.json.decode(raw)
    return msgspec.msgpack.decode(raw, ext_hook=lambda code, payload: from_wire(code, payload).array())
