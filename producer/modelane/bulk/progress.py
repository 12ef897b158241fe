"""How far a run is, at which rate, and how long it will take.  A bar where somebody watches, else lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TextIO

#: Seconds between two lines, where there is no bar.
LINE_S = 10.0
#: Seconds that the rate looks back.
RATE_S = 20.0


class Meter:
    """Counts rows.

    Args:
        n_done: rows that an earlier run has done.
        n_rows: of the file; None if that is not known before it is read.
        clock: seconds.
    """

    def __init__(self, n_done: int, n_rows: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.n_done = n_done
        self.n_errors = 0
        self.fraction = n_done / n_rows if n_rows else 0.0
        self.clock = clock
        self.last_s = clock()  #: when rows were answered last
        self._n_rows = n_rows
        self._lately = deque([(self.last_s, n_done)])

    def add(self, n_rows: int, n_errors: int, fraction: float) -> None:
        """Further rows are answered.

        Args:
            n_rows: how many.
            n_errors: of them without an answer.
            fraction: of the input that is read; counts where its rows are not known.
        """
        self.last_s = self.clock()
        self.n_done += n_rows
        self.n_errors += n_errors
        self.fraction = self.n_done / self._n_rows if self._n_rows else fraction
        self._lately.append((self.last_s, self.n_done))
        while self.last_s - self._lately[0][0] > RATE_S and len(self._lately) > 2:
            self._lately.popleft()

    @property
    def per_s(self) -> float:
        (first_s, first), (_, last) = self._lately[0], self._lately[-1]
        return (last - first) / max(self.clock() - first_s, 1e-3)

    def __str__(self) -> str:
        """Like ``1,200,000 of 5,000,000 rows, 51,200 a second, 1 min 14 s left, 3 without an answer``."""
        of = f" of {self._n_rows:,}" if self._n_rows else ""
        said = [f"{self.n_done:,}{of} rows"]
        if self.per_s >= 1:
            said.append(f"{self.per_s:,.0f} a second")
            if 0 < self.fraction < 1:
                n_left = self.n_done / self.fraction - self.n_done
                said.append(f"{spoken(n_left / self.per_s)} left")
        if self.n_errors:
            said.append(f"{self.n_errors:,} without an answer")
        return ", ".join(said)


class Show(Protocol):
    """Where a run is shown."""

    def meter(self, meter: Meter) -> None:
        """It has moved."""
        ...

    def note(self, text: str) -> None:
        """Something else is to be said now; empty: nothing any more."""
        ...


class Silence:
    """Shows nothing."""

    def meter(self, meter: Meter) -> None: ...

    def note(self, text: str) -> None: ...


class Lines:
    """Shows a line every now and then: for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._next_s = clock() + LINE_S
        self._noted = ""

    def meter(self, meter: Meter) -> None:
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + LINE_S
            self._line(str(meter))

    def note(self, text: str) -> None:
        if text and text != self._noted:
            self._line(text)
        self._noted = text

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bar:
    """Show a bar on a terminal; needs rich.

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  the base install has no rich
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
def shown(stream: TextIO, *, quiet: bool) -> Iterator[Show]:
    """A bar on a terminal if rich is there, lines elsewhere, nothing if ``quiet``."""
    if quiet:
        yield Silence()
        return
    if stream.isatty():
        try:
            bar = Bar(stream)
        except ImportError:
            pass  # lines will do
        else:
            with bar:
                yield bar
            return
    yield Lines(stream)


def spoken(seconds: float) -> str:
    """Like ``45 s``, ``1 min 14 s``, ``2 h 3 min``."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"
