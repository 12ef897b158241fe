"""Arrays on the wire: dtype, shape and raw bytes, as one MessagePack extension.  No pickle, no object arrays.

The extension's payload is the MessagePack array ``[dtype, shape, data]``; ``dtype`` is numpy's own string
(``<f8``), ``data`` the C-ordered bytes.  To change the format, take a new extension code and go on reading
this one: messages outlive a release.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadInput

EXTENSION_CODE = 77

#: Booleans, integers, floats of fixed width, little-endian, and strings of fixed length.
_DTYPE = re.compile(r"\|b1|[|<][iu]1|<[iu][248]|<f[248]|<U(?P<length>[1-9]\d{0,3})")

#: Rows and columns, and one more for models that answer with a matrix per row.
MAX_DIMENSIONS = 3


class Tensor(msgspec.Struct, array_like=True, frozen=True):
    """An array as it travels: checked, but not yet copied into numpy."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Tensor:
        """Raises :class:`BadInput` for dtypes that do not travel (objects, records, dates)."""
        little = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
        if not _DTYPE.fullmatch(little.str):
            raise BadInput(f"arrays of dtype {array.dtype} cannot be sent: use numbers, booleans or strings")
        if array.ndim > MAX_DIMENSIONS:
            raise BadInput(f"an array has {array.ndim} dimensions, at most {MAX_DIMENSIONS} are taken")
        return cls(little.str, array.shape, array.astype(little, copy=False).tobytes())

    def array(self) -> NDArray[Any]:
        """A read-only view on the bytes, shape as sent."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    def __str__(self) -> str:
        """What it is, never what it holds: ``[128x4 float64]``."""
        return f"[{'x'.join(map(str, self.shape))} {np.dtype(self.dtype)}]"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tensor)


def to_wire(value: Any) -> Any:
    """msgspec ``enc_hook``: numpy arrays and scalars."""
    if isinstance(value, np.ndarray):
        value = Tensor.of(value)
    elif isinstance(value, np.generic):
        return value.item()
    else:
        raise NotImplementedError(f"{type(value).__name__} cannot be sent")
    return msgspec.msgpack.Ext(EXTENSION_CODE, _encoder.encode(value))


def from_wire(code: int, payload: memoryview) -> Tensor:
    """msgspec ``ext_hook``: a checked tensor.

    Raises:
        BadInput: unknown extension or dtype, or a shape that does not fit the bytes; nothing was allocated.
    """
    if code != EXTENSION_CODE:
        raise BadInput(f"unknown MessagePack extension {code}")
    try:
        tensor = _decoder.decode(payload)
    except msgspec.DecodeError as exc:
        raise BadInput(f"a tensor cannot be read: {exc}") from exc
    matched = _DTYPE.fullmatch(tensor.dtype)
    if not matched:
        raise BadInput(f"dtype {tensor.dtype!r:.20} is not taken: numbers, booleans or strings")
    if len(tensor.shape) > MAX_DIMENSIONS or any(size < 0 for size in tensor.shape):
        raise BadInput(f"a tensor has an impossible shape, {tensor.shape!r:.80}")
    itemsize = int(matched["length"]) * 4 if matched["length"] else int(tensor.dtype[-1])
    if math.prod(tensor.shape) * itemsize != len(tensor.data):
        raise BadInput(
            f"a tensor of shape {tensor.shape} and dtype {tensor.dtype} "
            f"needs {math.prod(tensor.shape) * itemsize} bytes, {len(tensor.data)} came"
        )
    return tensor
