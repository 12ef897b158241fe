"""`modelane retrain`: ask the trainers for a new version; what cron runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from modelane.keys import check_model_name
from modelane.settings import Settings

if TYPE_CHECKING:
    from modelane.client.answer import Progress, Retrained
    from modelane.client.prediction import Prediction

#: Seconds in which Redis has to take the task; longer than a restart of it, shorter than cron's patience.
CONFIRM_S = 10.0
#: Seconds between two lines about the same step where nobody can watch one line change.
SAY_AGAIN_S = 10.0


@click.command()
@click.argument("model")
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait for the outcome, or only enqueue and print the task's id.",
)
@click.option(
    "--quiet", is_flag=True, help="Print nothing unless it fails: for cron, which mails what is printed."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long to wait; by default MODELANE_RETRAIN_LIMIT_S.  The retraining itself goes on.",
)
@click.option("--cancel", "is_cancel", is_flag=True, help="Stop the retraining of MODEL that is under way.")
def retrain(model: str, *, wait: bool, quiet: bool, timeout_s: float | None, is_cancel: bool) -> None:
    """Retrain MODEL on a trainer, and publish it if it passes its gate.

    One retraining of a model goes on at a time: asking again meanwhile waits for the same outcome.
    Ctrl-C only stops waiting.

    \b
    Example:
        modelane retrain churn
        modelane retrain churn --quiet      # in a crontab
        modelane retrain churn --cancel

    Exits with 0 when the trainer has done its work, or, without waiting, when Redis has the task; with 5 when
    Redis has not confirmed that, with 6 when the wait was too long (`modelane --help` has the other codes).
    """  # noqa: D301  # click wants a real backspace
    settings = Settings.from_env(os.environ)
    say: Callable[[str], object] = (lambda _: None) if quiet else click.echo
    if is_cancel:
        say(_cancel(settings, model))
        return
    from modelane.client import Client  # noqa: PLC0415  # `modelane --help` need not load it

    with Client(settings=settings) as client, _steps(quiet) as show:
        future = client.retrain(model, timeout_s=timeout_s or settings.retrain_limit_s, on_progress=show)
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
            f"{model}: the retraining goes on; to stop it: modelane retrain {model} --cancel", err=True
        )
        raise


def _cancel(settings: Settings, model: str) -> str:
    from modelane.broker.connection import connect, require_lanes  # noqa: PLC0415
    from modelane.broker.retrain_run import cancel  # noqa: PLC0415

    require_lanes(settings)
    with connect(settings) as client:
        ids = cancel(client, settings.prefix, check_model_name(model))
    return f"{model}: cancelled {', '.join(ids)}" if ids else f"{model}: no retraining is under way"


@contextmanager
def _steps(quiet: bool) -> Iterator[Callable[[Progress], object] | None]:
    """Shows each step as it begins: a line that changes if somebody watches, else a line now and then."""
    if quiet:
        yield None
    elif sys.stderr.isatty() and find_spec("rich"):
        from rich.console import Console  # noqa: PLC0415  # not in the base install
        from rich.markup import escape  # noqa: PLC0415

        console = Console(stderr=True, highlight=False)
        with console.status("waiting for a trainer") as status:
            yield _Shown(
                lambda p: console.print(f"[bold]{escape(p.step):9}[/] {escape(p.detail)}"),
                lambda p: status.update(f"{escape(p.step)}: {escape(p.detail)}"),
            )
    else:
        yield _Shown(lambda p: click.echo(f"{p.step:9} {p.detail}", err=True))


class _Shown:
    """Tells a new step from news about the same one."""

    def __init__(
        self, show: Callable[[Progress], object], update: Callable[[Progress], object] | None = None
    ) -> None:
        self._show = show
        self._update = update
        self._step = ""
        self._again_s = 0.0

    def __call__(self, progress: Progress) -> None:
        is_new, now_s = progress.step != self._step, time.monotonic()
        if is_new or (self._update is None and now_s >= self._again_s):
            self._step, self._again_s = progress.step, now_s + SAY_AGAIN_S
            self._show(progress)
        if self._update is not None:
            self._update(progress)
