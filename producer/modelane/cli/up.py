"""`modelane up`: run the complete stack in the foreground."""

from __future__ import annotations

import os
import sys
import threading

import click
from click.core import ParameterSource

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
    help="Port of the Redis server that this command starts. Ignored if MODELANE_BROKER_URL is set.",
)
@click.option(
    "--flower-port",
    type=_PORT,
    default=5555,
    show_default=True,
    help="Port of Flower, the dashboard.",
)
@click.pass_context
def up(ctx: click.Context, redis_port: int, flower_port: int) -> None:
    """Run Redis, a worker, a trainer, beat and Flower on this machine until Ctrl-C.

    All programs listen on 127.0.0.1 only and keep their data in the folder MODELANE_HOME (default:
    .modelane). A program that exits is restarted. If MODELANE_BROKER_URL is set, that Redis is used and no
    Redis is started.

    When all programs answer, the command prints one line:

    \b
        ready broker=URL flower=URL store=FOLDER models=NAME,NAME

    The first Ctrl-C (or SIGTERM) lets every program finish its current work. A second one kills all programs
    immediately. Both end this command with exit code 0.

    With another port of Redis, tell the other commands: MODELANE_BROKER_URL=redis://127.0.0.1:PORT/0.

    \b
    Example:
        modelane up
        modelane up --redis-port 6380 --flower-port 5556
        MODELANE_BROKER_URL=redis://redis.internal:6379/0 modelane up

    Needs pip install "modelane[all]". Exit codes: modelane --help.
    """  # noqa: D301  # click needs a backspace character
    from modelane.local.stack import LocalStack  # noqa: PLC0415  # slow to import

    own_redis = "MODELANE_BROKER_URL" not in os.environ
    if not own_redis and ctx.get_parameter_source("redis_port") is not ParameterSource.DEFAULT:
        click.echo(
            "MODELANE_BROKER_URL is set, so this command starts no Redis, and --redis-port has no effect",
            err=True,
        )
    output = Output(sys.stdout, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    stack = LocalStack(
        Settings.from_env(os.environ),
        redis_port=redis_port if own_redis else None,
        flower_port=flower_port,
        output=output,
    )
    try:
        with interrupts(), stack:
            stack.wait_until_ready()
            output.plain(stack.ready_line())
            threading.Event().wait()
    except KeyboardInterrupt:
        output.line("modelane", "stopped")
