"""A stream that tests can wait on, and a tiny program to supervise."""

from __future__ import annotations

import io
import sys
import threading

from modelane.local.supervisor import Program


class Heard(io.StringIO):
    """Remembers what was written; :meth:`wait_for` returns as soon as a text is there."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._finished = False

    def finish(self) -> None:
        """Mark the end of the output."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def write(self, text: str) -> int:
        with self._changed:
            written = super().write(text)
            self._changed.notify_all()
        return written

    def wait_for(self, text: str, times: int = 1, deadline_s: float = 20) -> None:
        def said() -> bool:
            return self.getvalue().count(text) >= times

        with self._changed:
            self._changed.wait_for(lambda: self._finished or said(), timeout=deadline_s)
        assert said(), f"{text!r} was not said {times} times:\n{self.getvalue()}"


def python(name: str, code: str) -> Program:
    return Program(name=name, command=[sys.executable, "-Iuc", code])
