"""`modelane up`: the whole stack in the foreground."""

from __future__ import annotations

import os
import sys
import threading

import click

from modelane.local.log_output import Output
from modelane.local.signals import interrupts
from modelane.settings import Settings

_PORT = click.IntRange(1, 65535)


@click.command()
@click.option(
    "--redis-port",
    type=_PORT,
    default=6379,
    show_default=True,
    help="Where our own Redis listens.  Not used when MODELANE_BROKER_URL is set.",
)
@click.option(
    "--flower-port",
    type=_PORT,
    default=5555,
    show_default=True,
    help="Where Flower, the dashboard, listens.",
)
def up(redis_port: int, flower_port: int) -> None:
    """Run Redis, a worker, a trainer, beat and Flower on this machine, until Ctrl-C.

    Everything listens on loopback only and keeps its data in MODELANE_HOME (.modelane).  What dies
    is started again.  When all of it answers, one line says so: `ready broker=… flower=… store=…
    models=…`.  The first Ctrl-C (or SIGTERM) lets each program finish what it has in hand, the
    second one ends them at once.
    """
    from modelane.local.stack import Stack  # noqa: PLC0415  # `modelane --help` need not load it

    own_redis = "MODELANE_BROKER_URL" not in os.environ
    output = Output(sys.stdout, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    stack = Stack(
        Settings.from_env(os.environ),
        redis_port=redis_port if own_redis else None,
        flower_port=flower_port,
        output=output,
    )
    try:
        with interrupts(), stack:
            stack.ready()
            output.plain(stack.ready_line())
            threading.Event().wait()
    except KeyboardInterrupt:
        output.line("modelane", "stopped")
