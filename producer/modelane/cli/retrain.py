"""`modelane retrain`: request a new version from the trainers; made for cron, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from modelane.cli.step_display import step_display
from modelane.keys import check_model_name
from modelane.settings import Settings

if TYPE_CHECKING:
    from modelane.client.answer import Retrained
    from modelane.client.prediction import Prediction

#: Seconds in which Redis has to accept the task: longer than a restart of Redis takes.
CONFIRM_S = 10.0


@click.command()
@click.argument("model")
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait for the outcome, or only enqueue the task and print its id.",
)
@click.option(
    "--quiet", is_flag=True, help="Print only errors: for cron, which mails everything that is printed."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds to wait; by default MODELANE_RETRAIN_LIMIT_S. After that, the retraining continues.",
)
@click.option("--cancel", "is_cancel", is_flag=True, help="Stop the current retraining of MODEL.")
def retrain(model: str, *, wait: bool, quiet: bool, timeout_s: float | None, is_cancel: bool) -> None:
    """Retrain MODEL on a trainer.

    The gate of its recipe decides whether the new version becomes the champion.

    A model has at most one retraining at a time: a second request shares the result of the first.
    Ctrl-C only stops waiting; the retraining continues.

    \b
    Example:
        modelane retrain churn
        modelane retrain churn --quiet      # in a crontab
        modelane retrain churn --cancel

    \b
    Exit codes:
        0    the retraining has finished; with --no-wait: Redis has accepted the task
        5    Redis has not accepted the task
        6    the retraining did not finish within --timeout
    Other codes: see modelane --help.
    """  # noqa: D301  # click wants a real backspace
    settings = Settings.from_env(os.environ)
    say: Callable[[str], object] = (lambda _: None) if quiet else click.echo
    if is_cancel:
        say(_cancel(settings, model))
        return
    from modelane.client import Client  # noqa: PLC0415  # `modelane --help` need not load it

    steps = step_display(None if quiet else sys.stderr, waiting_for="waiting for a trainer")
    with Client(settings=settings) as client, steps as show:
        future = client.retrain(
            model,
            timeout_s=timeout_s or settings.retrain_limit_s,
            on_progress=lambda progress: show(progress.step, progress.detail),
        )
        client.flush(CONFIRM_S)
        if not wait and future.done():  # refused
            future.result()
        say(f"{model}: retraining {future.id}")
        if wait:
            done = _outcome(model, future)
            verdict = "promoted" if done.promoted else "not promoted"
            say(f"{model}: version {done.version} is {verdict}: {done.reason}")


def _outcome(model: str, future: Prediction[Retrained]) -> Retrained:
    try:
        return future.result()
    except KeyboardInterrupt:
        click.echo(
            f"{model}: the retraining continues; to stop it: modelane retrain {model} --cancel", err=True
        )
        raise


def _cancel(settings: Settings, model: str) -> str:
    from modelane.broker.connection import connect, require_lanes  # noqa: PLC0415
    from modelane.broker.retrain_run import cancel  # noqa: PLC0415

    require_lanes(settings)
    with connect(settings) as client:
        ids = cancel(client, settings.prefix, check_model_name(model))
    return f"{model}: cancelled {', '.join(ids)}" if ids else f"{model}: there is no retraining to cancel"
