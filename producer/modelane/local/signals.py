"""Handle Ctrl-C and SIGTERM alike: both raise ``KeyboardInterrupt`` in the main thread."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Signals that arrive within this many seconds of the first count as one. ``timeout`` and ``uv run`` forward
#: the signal that the terminal has sent to this process already; only a later signal is a second request.
DEBOUNCE_S = 0.3


@contextmanager
def interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` for SIGINT and SIGTERM inside the block. Use it in the main thread only.

    This holds even if the process started with SIGINT ignored, as a shell script starts background jobs.
    """
    last_s = float("-inf")

    def interrupt(*_: object) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= DEBOUNCE_S:
            last_s = now_s
            raise KeyboardInterrupt

    before = {which: signal.signal(which, interrupt) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
