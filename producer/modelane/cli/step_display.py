"""Show the steps of a training run: a status line on a terminal, a line now and then everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TextIO

#: Seconds between two lines about the same step, where there is no status line.
LINE_S = 10.0

#: Called with the name of the current step and a detail.
ShowStep = Callable[[str, str], None]


@contextmanager
def step_display(stream: TextIO | None, *, waiting_for: str = "") -> Iterator[ShowStep]:
    """Return a function that shows the current step. Call it as often as there is news.

    Args:
        stream: where to print; None shows nothing.
        waiting_for: shown in the status line before the first step.
    """
    if stream is None:
        yield lambda step, detail: None
        return
    if not (stream.isatty() and find_spec("rich")):
        yield _StepLines(lambda step, detail: print(f"{step:9} {detail}", file=stream, flush=True))
        return
    from rich.console import Console  # noqa: PLC0415  not in the base install
    from rich.markup import escape  # noqa: PLC0415

    console = Console(file=stream, highlight=False)
    with console.status(escape(waiting_for)) as status:
        new_step = _StepLines(
            lambda step, detail: console.print(f"[bold]{escape(step):9}[/] {escape(detail)}"), float("inf")
        )

        def show(step: str, detail: str) -> None:
            new_step(step, detail)
            status.update(escape(f"{step}: {detail}"))

        yield show


class _StepLines:
    """Prints a line for each new step, and for the same step at most one every ``line_s`` seconds."""

    def __init__(self, print_line: ShowStep, line_s: float = LINE_S) -> None:
        self._print_line = print_line
        self._line_s = line_s
        self._step = ""
        self._next_s = 0.0

    def __call__(self, step: str, detail: str) -> None:
        now_s = time.monotonic()
        if step != self._step or now_s >= self._next_s:
            self._step, self._next_s = step, now_s + self._line_s
            self._print_line(step, detail)
