"""`modelane demo`: the whole of Modelane on one machine, shown and checked in a minute."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from modelane.local.signals import interrupts

EXIT_INTERRUPTED = 130


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def demo(keep: bool) -> None:
    """Show the main job on real data, and check every answer.

    In a temporary folder and on free ports: trains a model on scikit-learn's breast-cancer data, starts
    Redis, a worker, a trainer and Flower, sends the hold-out through the queue one by one and in bulk,
    retrains while requests are in flight, and compares every answer with the same version's in-process
    prediction.

    \b
    Example:
        modelane demo            # about half a minute
        modelane demo --keep     # then play with it, and look at Flower

    \b
    Exit status:
        0    OK: all answered, none wrong, Flower saw all
        1    not so; the last line says what failed
        130  interrupted
    """  # noqa: D301  # click wants a real backspace
    from modelane_training.demo.scenario import tell  # noqa: PLC0415  # `modelane --help` need not wait

    try:
        with interrupts():
            failures = tell(Console(highlight=False), keep=keep)
    except KeyboardInterrupt:
        click.echo("modelane demo: interrupted, everything is stopped")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(1 if failures else 0)
