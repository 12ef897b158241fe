"""`modelane train`: one training in the foreground."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from modelane.local.signals import interrupts
from modelane.settings import Settings
from modelane_training.trainer.run_process import run_in_subprocess
from modelane_training.trainer.run_protocol import RunOrder

if TYPE_CHECKING:
    from modelane_training.search.trials import Progress

EXIT_KEPT = 3


@click.command()
@click.argument("recipe")
@click.option("--quiet", is_flag=True, help="Print only the verdict.")
def train(recipe: str, quiet: bool) -> None:
    """Train a model on this machine.

    The new version is published; it becomes the champion if it passes the gate of its recipe.

    RECIPE is the name of a model, whose recipe is in the recipes folder or built in, or the path of a recipe
    (ending in .py). It runs in a process of its own, within the same limits as a retraining through the
    queue: MODELANE_RETRAIN_LIMIT_S seconds and MODELANE_RETRAIN_LIMIT_MB MiB.

    \b
    Example:
        modelane train breast-cancer
        modelane train recipes/churn.py

    \b
    Exit codes:
        0    trained, published and promoted
        1    failed; the champion has not changed
        2    wrong usage, or a wrong setting
        3    trained and published, but the gate kept the champion
        130  interrupted with Ctrl-C
    """  # noqa: D301  # click wants a real backspace: keep these lines as they are
    settings = Settings.from_env(os.environ)
    console = Console(stderr=True, quiet=quiet, highlight=False)
    try:
        with interrupts(), _steps(console) as progress:
            outcome = _run(recipe, settings, progress)
    except KeyboardInterrupt as stopped:
        stopped.add_note("nothing was published")
        raise
    console.print(_metrics(outcome))
    verb = "promoted" if outcome["promoted"] else "kept the champion"
    click.echo(f"{outcome['model']} {outcome['version']} {verb}: {outcome['reason']}")
    sys.exit(0 if outcome["promoted"] else EXIT_KEPT)


def _run(recipe: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    return run_in_subprocess(
        settings,
        RunOrder(recipe, run_id="", foreground=True),
        progress=progress,
        may_publish=lambda: None,
        stop_reason=lambda: None,
    )


@contextmanager
def _steps(console: Console) -> Iterator[Progress]:
    """Print a line for each step when it starts, and show a spinner on a terminal."""
    with console.status("") as status:

        def show(step: str, detail: str) -> None:
            console.print(f"[bold]{step:9}[/] {escape(detail)}")
            status.update(step)

        yield show


def _metrics(outcome: dict[str, Any]) -> Grid:
    grid = Grid("metric", outcome["version"], f"champion {outcome['champion'] or '-'}")
    for name, value in outcome["metrics"].items():
        before = outcome["champion_metrics"].get(name)
        grid.add_row(name, f"{value:.4f}", "-" if before is None else f"{before:.4f}")
    return grid
