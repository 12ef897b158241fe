"""Arrays on the wire: dtype, shape and raw bytes, as one MessagePack extension.  No pickle, no object arrays.

The extension's payload is the MessagePack array ``[dtype, shape, data]``; ``dtype`` is numpy's own string
(``<f8``), ``data`` the C-ordered bytes.  Dates are microseconds of UTC (``<M8[us]``).

What has no fixed width travels as MessagePack's own lists: objects, and strings of which one may be long,
since numpy gives each as much room as the longest.

To change the format, take a new extension code and go on reading this one: messages outlive a release.
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

#: Booleans, integers, floats of fixed width, little-endian, dates, and strings of fixed length.
_DTYPE = re.compile(r"\|b1|[|<][iu]1|<[iu][248]|<f[248]|<M8\[us\]|<U(?P<length>[1-9]\d{0,3})")

#: Characters.  Labels are shorter; longer strings travel one by one.
MAX_LABEL = 64

#: Rows and columns, and one more for models that answer with a matrix per row.
MAX_DIMENSIONS = 3
#: Of one dimension; numpy cannot make an array of more, not even an empty one.
MAX_SIZE = 2**31


class Tensor(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An array as it travels: checked, but not yet copied into numpy."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Tensor:
        """Raises :class:`BadInput` for dtypes that do not travel (objects, records, durations)."""
        little, name = _travelling(array.dtype)
        if array.ndim > MAX_DIMENSIONS:
            raise BadInput(f"an array has {array.ndim} dimensions, at most {MAX_DIMENSIONS} are taken")
        try:
            array = (
                datetimes.from_array(array) if little is datetimes.DTYPE else array.astype(little, copy=False)
            )
        except ValueError as exc:
            raise BadInput(str(exc)) from exc
        return cls(name, array.shape, array.tobytes())

    def array(self) -> NDArray[Any]:
        """A read-only view on the bytes, shape as sent."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    def __str__(self) -> str:
        """What it is, never what it holds: ``[128x4 float64]``."""
        return _spoken(self.dtype, self.shape)

    def extension(self) -> msgspec.msgpack.Ext:
        """As it stands in a MessagePack document."""
        return msgspec.msgpack.Ext(EXTENSION_CODE, _encoder.encode(self))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tensor)


def to_wire(value: Any) -> Any:
    """msgspec ``enc_hook``: numpy arrays and scalars."""
    if isinstance(value, np.ndarray) and not is_loose(value.dtype):
        return Tensor.of(value).extension()
    return to_plain(value)


def to_plain(value: Any) -> Any:
    """msgspec ``enc_hook``, for documents without extensions: lists, Python's own values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if datetimes.is_missing(value):
        return None
    if isinstance(value, date):  # pandas' own
        return value.isoformat()
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")


def is_loose(dtype: np.dtype[Any]) -> bool:
    """Whether values of it travel one by one: objects, numpy's strings of any length, and long ones."""
    return dtype.kind in "OT" or (dtype.kind == "U" and dtype.itemsize > 4 * MAX_LABEL)


def extended(rows: Any) -> Any:
    """Rows, as :mod:`modelane.data.rows` makes them, as they stand in a MessagePack document."""
    if isinstance(rows, dict):
        return {name: extended(column) for name, column in rows.items()}
    return rows.extension() if isinstance(rows, Tensor) else rows


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
    if len(tensor.shape) > MAX_DIMENSIONS or not all(0 <= n <= MAX_SIZE for n in tensor.shape):
        raise BadInput(f"a tensor has an impossible shape, {tensor.shape!r:.80}")
    n_bytes = math.prod(tensor.shape) * _itemsize(tensor.dtype)
    if n_bytes != len(tensor.data):
        raise BadInput(
            f"a tensor of shape {tensor.shape} and dtype {tensor.dtype} "
            f"needs {n_bytes} bytes, {len(tensor.data)} came"
        )
    return tensor


# Asked once a request, about the same few dtypes: numpy takes microseconds to name one.
@lru_cache(maxsize=64)
def _travelling(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], str]:
    """The little-endian form of a dtype, and its name on the wire."""
    little = datetimes.DTYPE if dtype.kind == "M" else dtype
    little = little.newbyteorder("<") if dtype.byteorder == ">" else little
    if not _DTYPE.fullmatch(little.str):
        raise BadInput(f"arrays of dtype {dtype} cannot be sent: use numbers, booleans, strings or dates")
    return little, little.str


@lru_cache(maxsize=256)
def _spoken(dtype: str, shape: tuple[int, ...]) -> str:
    return f"[{'x'.join(map(str, shape))} {np.dtype(dtype)}]"


@lru_cache(maxsize=64)
def _itemsize(dtype: str) -> int:
    matched = _DTYPE.fullmatch(dtype)
    if not matched:
        raise BadInput(f"dtype {dtype!r:.20} is not taken: numbers, booleans, strings or dates")
    return int(matched["length"]) * 4 if matched["length"] else np.dtype(dtype).itemsize
