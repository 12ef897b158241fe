"""Encode arrays as one MessagePack extension with dtype, shape and raw bytes; no pickle, no object arrays.

The payload of the extension is the MessagePack array ``[dtype, shape, data]``: ``dtype`` is numpy's own
string (``<f8``), ``data`` the bytes in C order. Dates are microseconds in UTC (``<M8[us]``).

Values without a fixed width are sent as MessagePack lists: objects, and strings of which some may be long,
since numpy gives every string the length of the longest one.

To change the format, use a new extension code and keep reading this one: messages outlive a release.
"""

from __future__ import annotations

import math
import re
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.data import datetimes
from modelane.errors import BadInput

EXTENSION_CODE = 77

#: Booleans; little-endian integers, floats and dates; strings of fixed length.
_DTYPE = re.compile(r"\|b1|[|<][iu]1|<[iu][248]|<f[248]|<M8\[us\]|<U(?P<length>[1-9]\d{0,3})")

#: Characters. Labels of classes are shorter; longer strings are sent as a list.
MAX_LABEL = 64

#: Rows, columns, and one more for models that return a matrix per row.
MAX_DIMENSIONS = 3
#: Maximum length of one dimension; numpy cannot create a longer one, not even of an empty array.
MAX_SIZE = 2**31


class Tensor(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An array in the form in which it is sent: checked, but not yet a numpy array.

    Attributes:
        dtype: numpy's string of the dtype, such as ``<f8``.
        shape: up to three dimensions.
        data: bytes in C order.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Tensor:
        """Encode a numpy array.

        Raises:
            BadInput: the dtype cannot be sent (objects, records, durations), or a date is out of range.
        """
        little, name = _wire_dtype(array.dtype)
        if array.ndim > MAX_DIMENSIONS:
            raise BadInput(f"an array has {array.ndim} dimensions: expected at most {MAX_DIMENSIONS}")
        try:
            array = (
                datetimes.from_array(array) if little is datetimes.DTYPE else array.astype(little, copy=False)
            )
        except ValueError as exc:
            raise BadInput(str(exc)) from exc
        return cls(name, array.shape, array.tobytes())

    def array(self) -> NDArray[Any]:
        """Return a read-only view on the bytes, in the shape in which they were sent."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    def __str__(self) -> str:
        """Describe shape and dtype, never values: ``[128x4 float64]``."""
        return _description(self.dtype, self.shape)

    def extension(self) -> msgspec.msgpack.Ext:
        """Return the MessagePack extension that holds the array."""
        return msgspec.msgpack.Ext(EXTENSION_CODE, _encoder.encode(self))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tensor)


def to_wire(value: Any) -> Any:
    """Encode numpy arrays and scalars for MessagePack; a msgspec ``enc_hook``."""
    if isinstance(value, np.ndarray) and not has_variable_width(value.dtype):
        return Tensor.of(value).extension()
    return to_builtin(value)


def to_builtin(value: Any) -> Any:
    """Encode values as Python's own types, for documents without extensions; a msgspec ``enc_hook``."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if datetimes.is_missing(value):
        return None
    if isinstance(value, date):  # of pandas; msgspec encodes those of Python itself
        return value.isoformat()
    raise NotImplementedError(f"a value of type {type(value).__name__} cannot be sent")


def has_variable_width(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of a dtype are sent as lists: objects, strings of variable length, long strings."""
    return dtype.kind in "OT" or (dtype.kind == "U" and dtype.itemsize > 4 * MAX_LABEL)


def to_msgpack(rows: Any) -> Any:
    """Convert rows that :mod:`modelane.data.rows` returned for a message in MessagePack."""
    if isinstance(rows, dict):
        return {name: to_msgpack(column) for name, column in rows.items()}
    return rows.extension() if isinstance(rows, Tensor) else rows


def from_wire(code: int, payload: memoryview) -> Tensor:
    """Decode and check a tensor; a msgspec ``ext_hook``.

    Raises:
        BadInput: the extension or dtype is unknown, or the shape does not match the bytes; nothing was
            allocated.
    """
    if code != EXTENSION_CODE:
        raise BadInput(f"unknown MessagePack extension {code}: expected {EXTENSION_CODE}")
    try:
        tensor = _decoder.decode(payload)
    except msgspec.DecodeError as exc:
        raise BadInput(f"a tensor cannot be decoded: {exc}") from exc
    if len(tensor.shape) > MAX_DIMENSIONS or not all(0 <= n <= MAX_SIZE for n in tensor.shape):
        raise BadInput(
            f"a tensor has the invalid shape {tensor.shape!r:.80}: "
            f"expected at most {MAX_DIMENSIONS} dimensions of at most {MAX_SIZE} elements"
        )
    n_bytes = math.prod(tensor.shape) * _itemsize(tensor.dtype)
    if n_bytes != len(tensor.data):
        raise BadInput(
            f"a tensor of shape {tensor.shape} and dtype {tensor.dtype} "
            f"needs {n_bytes} bytes, but has {len(tensor.data)}"
        )
    return tensor


# Called once per request with the same few dtypes; numpy takes microseconds to name one.
@lru_cache(maxsize=64)
def _wire_dtype(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], str]:
    """Return the little-endian form of a dtype and its name on the wire."""
    little = datetimes.DTYPE if dtype.kind == "M" else dtype
    little = little.newbyteorder("<") if dtype.byteorder == ">" else little
    if not _DTYPE.fullmatch(little.str):
        raise BadInput(
            f"arrays of dtype {dtype} cannot be sent: expected numbers, booleans, strings or dates"
        )
    return little, little.str


@lru_cache(maxsize=256)
def _description(dtype: str, shape: tuple[int, ...]) -> str:
    return f"[{'x'.join(map(str, shape))} {np.dtype(dtype)}]"


@lru_cache(maxsize=64)
def _itemsize(dtype: str) -> int:
    matched = _DTYPE.fullmatch(dtype)
    if not matched:
        raise BadInput(f"dtype {dtype!r:.20} is not accepted: expected numbers, booleans, strings or dates")
    return int(matched["length"]) * 4 if matched["length"] else np.dtype(dtype).itemsize
