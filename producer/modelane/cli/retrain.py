"""`modelane retrain`: ask the trainers for a new version; what cron runs."""

from __future__ import annotations

import os

import click

from modelane.settings import Settings

#: Seconds in which Redis has to take the task; longer than a restart of it, shorter than cron's patience.
CONFIRM_S = 10.0


@click.command()
@click.argument("model")
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait for the outcome, or only enqueue and print the task's id.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.  The retraining itself goes on.",
)
def retrain(model: str, *, wait: bool, timeout_s: float) -> None:
    """Retrain MODEL on a trainer, and publish it if it passes its gate.

    Exits with 0 when the trainer has done its work, or, without waiting, when Redis has the task; with 5 when
    Redis has not confirmed that, with 6 when the wait was too long (`modelane --help` has the other codes).
    """
    from modelane.client import Client  # noqa: PLC0415  # `modelane --help` need not load it

    with Client(settings=Settings.from_env(os.environ)) as client:
        future = client.retrain(model, timeout_s=timeout_s)
        if not wait:
            client.flush(CONFIRM_S)
            if future.done():  # refused
                future.result()
        click.echo(f"{model}: retraining {future.id}")
        if wait:
            done = future.result()
            verdict = "promoted" if done.promoted else "not promoted"
            click.echo(f"{model}: version {done.version} is {verdict}: {done.reason}")
