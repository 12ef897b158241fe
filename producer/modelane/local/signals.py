"""Ctrl-C and SIGTERM, told alike: both raise ``KeyboardInterrupt`` in the main thread."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Signals closer than this, in seconds, are one.  `timeout` and `uv run` pass on what the terminal
#: has sent to us already, and nobody means "end warmly" and "end at once" within a moment.
ONE_S = 0.3


@contextmanager
def interrupts() -> Iterator[None]:
    """Hear both signals while inside; from the main thread only."""
    last_s = float("-inf")

    def interrupt(*_: object) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= ONE_S:
            last_s = now_s
            raise KeyboardInterrupt

    before = {which: signal.signal(which, interrupt) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
