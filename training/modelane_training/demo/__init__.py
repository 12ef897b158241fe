"""`modelane demo`: the main job on one machine, with every answer checked."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from modelane.local.signals import interrupts


@click.command()
@click.option("--keep", is_flag=True, help="Keep everything running until Ctrl-C.")
def demo(keep: bool) -> None:
    """Show the main job, and check every answer.

    Uses a temporary folder and free ports. Trains a model on scikit-learn's breast-cancer data, starts
    Redis, a worker, a trainer and Flower, sends the hold-out through the queue one by one and in bulk,
    retrains while requests are in flight, and compares every answer with the prediction of the same version
    in process.

    \b
    Example:
        modelane demo            # about half a minute
        modelane demo --keep     # then try it yourself, and look at Flower

    \b
    Exit codes:
        0    all requests were answered, no answer is wrong, Flower saw all
        1    failed; the last line says why
        130  interrupted with Ctrl-C
    """  # noqa: D301  # click wants a real backspace
    from modelane_training.demo.scenario import tell  # noqa: PLC0415  # `modelane --help` does not need it

    with interrupts():
        failures = tell(Console(highlight=False), keep=keep)
    sys.exit(1 if failures else 0)
