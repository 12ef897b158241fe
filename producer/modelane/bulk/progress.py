"""How far a run is, how fast, and how long it will take: a bar on a terminal, lines everywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TextIO

#: Seconds between two lines.
LINE_S = 10.0
#: Seconds over which the rate is averaged.
RATE_S = 20.0


class Meter:
    """Counts rows.

    Args:
        n_done: rows that an earlier run has scored.
        n_rows: rows of the file; None: not known before the whole file is read.
        clock: returns seconds.

    Attributes:
        n_done: rows that are finished.
        n_errors: rows of this run that could not be scored.
        fraction: how much is finished, from 0 to 1.
        last_s: when the last answer arrived.
    """

    def __init__(self, n_done: int, n_rows: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.n_done = n_done
        self.n_errors = 0
        self.fraction = n_done / n_rows if n_rows else 0.0
        self.clock = clock
        self.last_s = clock()
        self._n_rows = n_rows
        self._recent = deque([(self.last_s, n_done)])

    def add(self, n_rows: int, n_errors: int, fraction: float) -> None:
        """Count rows that have been answered.

        Args:
            n_rows: number of rows.
            n_errors: how many of them could not be scored.
            fraction: how much of the input has been read; used if its number of rows is not known.
        """
        self.last_s = self.clock()
        self.n_done += n_rows
        self.n_errors += n_errors
        self.fraction = self.n_done / self._n_rows if self._n_rows else fraction
        self._recent.append((self.last_s, self.n_done))
        while self.last_s - self._recent[0][0] > RATE_S and len(self._recent) > 2:
            self._recent.popleft()

    @property
    def rows_per_s(self) -> float:
        (first_s, first), (_, last) = self._recent[0], self._recent[-1]
        return (last - first) / max(self.clock() - first_s, 1e-3)

    def __str__(self) -> str:
        """Return a text like ``1,200,000 of 5,000,000 rows, 51,200 rows/s, 1 min 14 s left, 3 failed``."""
        total = f" of {self._n_rows:,}" if self._n_rows else ""
        parts = [f"{self.n_done:,}{total} rows"]
        if self.rows_per_s >= 1:
            parts.append(f"{self.rows_per_s:,.0f} rows/s")
            if 0 < self.fraction < 1:
                n_left = self.n_done / self.fraction - self.n_done
                parts.append(f"{format_duration(n_left / self.rows_per_s)} left")
        if self.n_errors:
            parts.append(f"{self.n_errors:,} failed")
        return ", ".join(parts)


class Display(Protocol):
    """Shows the progress of a run."""

    def meter(self, meter: Meter) -> None:
        """Show that more rows are finished."""
        ...

    def note(self, text: str) -> None:
        """Show another message; an empty text removes it."""
        ...


class NoDisplay:
    """Shows nothing."""

    def meter(self, meter: Meter) -> None: ...

    def note(self, text: str) -> None: ...


class LineDisplay:
    """Prints a line every :data:`LINE_S` seconds, and each new message: for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._next_s = clock() + LINE_S
        self._noted = ""

    def meter(self, meter: Meter) -> None:
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + LINE_S
            self._print(str(meter))

    def note(self, text: str) -> None:
        if text and text != self._noted:
            self._print(text)
        self._noted = text

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class BarDisplay:
    """Shows a progress bar on a terminal.

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  not in the base install
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

        self._progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=Console(file=stream, highlight=False),
        )
        self._task = self._progress.add_task("", total=1.0, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def meter(self, meter: Meter) -> None:
        self._progress.update(self._task, completed=meter.fraction, description=str(meter))

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


@contextmanager
def open_display(stream: TextIO, *, quiet: bool) -> Iterator[Display]:
    """Return a bar on a terminal if rich is installed, otherwise lines; nothing if ``quiet``."""
    if quiet:
        yield NoDisplay()
        return
    if stream.isatty():
        try:
            bar = BarDisplay(stream)
        except ImportError:
            pass
        else:
            with bar:
                yield bar
            return
    yield LineDisplay(stream)


def format_duration(seconds: float) -> str:
    """Return a text like ``45 s``, ``1 min 14 s`` or ``2 h 3 min``."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"
