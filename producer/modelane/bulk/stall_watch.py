"""Report what a run is waiting for while no answer arrives: Redis, or a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from modelane.bulk.progress import Display, Meter, format_duration

#: Seconds without an answer before a report, and between two checks.
SILENT_S = 5.0
CHECK_S = 1.0


class StallWatch:
    """A background thread, because the thread that scores is blocked while it waits.

    Args:
        meter: knows when the last answer arrived.
        display: shows the reason.
        trouble: returns the reason.
        timeout_s: how long the run waits, in seconds.
    """

    def __init__(self, meter: Meter, display: Display, trouble: Callable[[], str], timeout_s: float) -> None:
        self._meter = meter
        self._display = display
        self._trouble = trouble
        self._timeout_s = timeout_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-score-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(CHECK_S)

    def _run(self) -> None:
        while not self._closing.wait(CHECK_S):
            silent_s = self._meter.clock() - self._meter.last_s
            if silent_s < SILENT_S:
                self._display.note("")
                continue
            trouble = self._trouble()
            if not self._closing.is_set():
                self._display.note(f"waiting up to {format_duration(self._timeout_s)}: {trouble}")
