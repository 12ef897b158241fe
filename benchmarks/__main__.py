"""`uv run python -m benchmarks`: measure figures, print them as a table, store and plot them."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console

from benchmarks import report
from benchmarks.figure import Effort, Figure

NAMES = (
    "forest",
    "throughput",
    "latency",
    "bulk",
    "score",
    "fairness",
    "flower",
    "idle",
    "memory",
    "batches",
    "profile",
    "client",
    "gate",
    "datasets",
    "outage",
    "footprint",
)
RESULTS = Path(__file__).parent / "results"


@click.command(epilog=f"Names: {', '.join(NAMES)}.")
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option(
    "--quick", is_flag=True, help="One short run of each figure, to check that it works; writes no files."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the results and plots."
)
def main(names: tuple[str, ...], quick: bool, out: Path) -> None:
    """Measure Modelane, and compare it with stock Celery or with the same predict in this process.

    NAME is the name of a figure; without names, all figures are measured. All processes listen on loopback
    only, and end with this program. The results of a figure are stored as soon as it is measured.

    Exits with 0 if every target is met, else with 1; the table marks the targets that are missed.

    \b
    Examples:
        uv run python -m benchmarks --quick
        uv run python -m benchmarks throughput latency
    """  # noqa: D301  # click needs a real backspace
    console = Console(highlight=False)
    console.width = max(console.width, 150)  # also in a pipe
    figures: dict[str, Figure] = {}
    for name in names or NAMES:
        began_s = time.monotonic()
        with console.status(name) as status:
            effort = Effort(
                rounds=1 if quick else 5,
                seconds=1.0 if quick else 3.0,
                say=lambda text, name=name, status=status: status.update(f"{name}: {text}"),
            )
            figures[name] = import_module(f"benchmarks.{name}").measure(effort)
        console.print(f"{name}: {time.monotonic() - began_s:.0f} s")
        if not quick:
            report.write(out / "results.json", {name: figures[name]})
    report.show(console, figures)
    if not quick:
        from benchmarks import plot  # noqa: PLC0415  # slow to import

        for path in plot.draw(out / "results.json", out):
            console.print(f"plot: {path}")
    missed = [line for figure in figures.values() for line in figure.lines if line.met is False]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
