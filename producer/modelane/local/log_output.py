"""Merge the log lines of several programs into one stream."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TextIO

_NAME_WIDTH = 8
_COLOURS = (36, 32, 35, 33, 34)  # ANSI: cyan, green, magenta, yellow, blue


class Output:
    """A thread-safe writer of whole lines, each after the name of the program that wrote it.

    Args:
        stream: where the lines go. Errors of the stream are ignored.
        colour: whether names are coloured with ANSI escape codes.
    """

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        """Write a line of the program ``name``."""
        with self._lock:
            self._write(f"{self._prefix(name)}{text}\n")

    def plain(self, text: str) -> None:
        """Write a line without a name."""
        with self._lock:
            self._write(f"{text}\n")

    def _write(self, line: str) -> None:
        # A character that the stream cannot encode must not stop the thread that empties a program's pipe.
        encoding = self._stream.encoding or "utf-8"
        # The reader of the stream may have exited (`modelane up | head`); the programs keep running.
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
