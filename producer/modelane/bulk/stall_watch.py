"""Says what a run waits for while no answer comes: Redis, or a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from modelane.bulk.progress import Meter, Show, spoken

#: Seconds without an answer before anything is said, and between two looks.
SILENT_S = 5.0
LOOK_S = 1.0


class Watch:
    """A thread of its own, for the one that works is waiting.

    Args:
        meter: knows when an answer came last.
        show: where it is said.
        trouble: asks for the reason, in words; empty if there is none.
        timeout_s: how long the run waits.
    """

    def __init__(self, meter: Meter, show: Show, trouble: Callable[[], str], timeout_s: float) -> None:
        self._meter = meter
        self._show = show
        self._trouble = trouble
        self._timeout_s = timeout_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-score-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(LOOK_S)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            silent_s = self._meter.clock() - self._meter.last_s
            if silent_s < SILENT_S:
                self._show.note("")
                continue
            trouble = self._trouble()
            if not self._closing.is_set():
                self._show.note(f"waiting: {trouble}; at most {spoken(self._timeout_s)}")
