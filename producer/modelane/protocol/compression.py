"""Bodies that a Celery client has compressed, never beyond what a message may take.  wire → COMPRESSION.

Names and forms are kombu's, which keeps the name in the header ``compression``.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from modelane.errors import TooLarge, Undecodable

#: Memory that a body may ask for before its first byte: what LZMA's highest preset needs, and a little.
LZMA_BYTES = 72 * 2**20

_DECOMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "application/x-gzip": zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lambda: lzma.LZMADecompressor(memlimit=LZMA_BYTES),
}


def decompress(data: bytes, name: str, max_bytes: int) -> bytes:
    """The body as it was before; a small one that would grow beyond ``max_bytes`` is refused before it does.

    Raises:
        Undecodable: damaged, cut short, or in a form that is not in Python's standard library.
        TooLarge: more than ``max_bytes``.
    """
    if name not in _DECOMPRESSORS:
        raise Undecodable(f"compression {name!r:.60} is not taken: {', '.join(_DECOMPRESSORS)}")
    decompressor = _DECOMPRESSORS[name]()
    try:
        body: bytes = decompressor.decompress(data, max_bytes + 1)
    except (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError) as exc:
        raise Undecodable(f"the body is no {name}: {exc}") from exc
    if len(body) > max_bytes:
        raise TooLarge(f"the body takes more than {max_bytes} bytes once it is decompressed")
    if not decompressor.eof:
        raise Undecodable(f"the body ends in the midst of its {name}")
    return body
