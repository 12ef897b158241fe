"""What many programs say at once, as lines of one stream."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TextIO

_NAME_WIDTH = 8
_COLOURS = (36, 32, 35, 33, 34)  # ANSI: cyan, green, magenta, yellow, blue


class Output:
    """One writer of whole lines, each behind the name of who says it."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        with self._lock:
            self._write(f"{self._prefix(name)}{text}\n")

    def plain(self, text: str) -> None:
        with self._lock:
            self._write(f"{text}\n")

    def _write(self, line: str) -> None:
        # What this stream cannot encode must not stop the thread that empties a program's pipe.
        encoding = self._stream.encoding or "utf-8"
        # Who read us may have gone (`modelane up | head`); that must not stop the programs.
        with suppress(OSError, ValueError):
            self._stream.write(line.encode(encoding, errors="replace").decode(encoding))
            self._stream.flush()

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{_NAME_WIDTH}} | "
        if not self._colour:
            return prefix
        if name not in self._names:
            self._names.append(name)
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\x1b[{colour}m{prefix}\x1b[0m"
