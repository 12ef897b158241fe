"""`modelane train`: one training in the foreground."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from modelane.cli.step_display import step_display
from modelane.cli.tables import print_table
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
        130  interrupted with Ctrl-C or SIGTERM
    """  # noqa: D301  # click wants a real backspace: keep these lines as they are
    settings = Settings.from_env(os.environ)
    try:
        with interrupts(), step_display(None if quiet else sys.stderr) as progress:
            outcome = _run(recipe, settings, progress)
    except KeyboardInterrupt as stopped:
        stopped.add_note("nothing was published")
        raise
    if not quiet:
        _print_metrics(outcome)
    model, version = outcome["model"], outcome["version"]
    verdict = "promoted" if outcome["promoted"] else "not promoted"
    click.echo(f"{model}: version {version} is {verdict}: {outcome['reason']}")
    if not (outcome["promoted"] or outcome["champion"]):
        click.echo(
            f"{model} has no champion, so no worker serves it; to serve this version: "
            f"modelane promote {model} {version}",
            err=True,
        )
    sys.exit(0 if outcome["promoted"] else EXIT_KEPT)


def _run(recipe: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    return run_in_subprocess(
        settings,
        RunOrder(recipe, run_id="", foreground=True),
        progress=progress,
        may_publish=lambda: None,
        stop_reason=lambda: None,
    )


def _print_metrics(outcome: dict[str, Any]) -> None:
    champion = outcome["champion_metrics"]
    rows = [
        (name, f"{value:.4f}", f"{champion[name]:.4f}" if name in champion else None)
        for name, value in outcome["metrics"].items()
    ]
    headings = ("metric", outcome["version"], f"champion {outcome['champion'] or '-'}")
    print_table(rows, headings, right=(1, 2), file=sys.stderr)
