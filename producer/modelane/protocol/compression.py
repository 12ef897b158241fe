"""Decompress bodies that a Celery client has compressed, up to the size limit of a message.

Names and formats are kombu's, which puts the name into the header ``compression``.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from modelane.errors import TooLarge, Undecodable

#: Memory that LZMA may allocate before the first byte: slightly more than its highest preset needs.
LZMA_BYTES = 72 * 2**20

_DECOMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "application/x-gzip": zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lambda: lzma.LZMADecompressor(memlimit=LZMA_BYTES),
}


def decompress(data: bytes, name: str, max_bytes: int) -> bytes:
    """Decompress a body, without ever allocating much more than ``max_bytes``.

    Args:
        data: compressed body.
        name: kombu's name of the compression, such as ``application/x-gzip``.
        max_bytes: maximum size of the decompressed body.

    Raises:
        Undecodable: the body is damaged or truncated, or the compression is not in Python's standard library.
        TooLarge: the body exceeds ``max_bytes``.
    """
    if name not in _DECOMPRESSORS:
        raise Undecodable(f"compression {name!r:.60} is not supported: expected {', '.join(_DECOMPRESSORS)}")
    decompressor = _DECOMPRESSORS[name]()
    try:
        body: bytes = decompressor.decompress(data, max_bytes + 1)
    except (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError) as exc:
        raise Undecodable(f"the body cannot be decompressed as {name}: {exc}") from exc
    if len(body) > max_bytes:
        raise TooLarge(f"the body has more than {max_bytes} bytes after decompression: send fewer rows")
    if not decompressor.eof:
        raise Undecodable(f"the body is truncated: its {name} data has no end")
    return body
