"""The bar on a terminal."""

from __future__ import annotations

from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from modelane.bulk.progress import Meter


class Bar:
    """See :class:`modelane.bulk.progress.Show`."""

    def __init__(self, stream: TextIO) -> None:
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
