"""The command line: one group whose commands come from every installed package.

Each command is an entry point of the group ``modelane.commands``. So the base package does not import the
packages of workers and trainers; a command is loaded when it is used.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from modelane.errors import (
    ModelaneError,
    NotAnswered,
    PredictionFailed,
    RequestError,
    SettingsError,
    TryLater,
)

GROUP = "modelane.commands"

#: The extra that installs the dependencies of a package.
_EXTRAS = {"modelane_worker": "worker", "modelane_training": "training"}


#: Exit code for each branch of errors; other errors end with 1. docs/reference/commands.md lists them.
EXIT_CODES: dict[type[ModelaneError], int] = {
    SettingsError: 2,  # the code that click uses for wrong usage
    RequestError: 4,
    TryLater: 5,
    NotAnswered: 6,
    PredictionFailed: 7,
}
INTERRUPTED = 130  # 128 + SIGINT, as in shells


class Commands(click.Group):
    """A group that loads a command when it is used, and says what to install if it cannot be loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group=GROUP, name=cmd_name):
            try:
                command: click.Command = entry.load()
            except ImportError as exc:
                return _not_installed(entry, exc)
            return command
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(
                    errors="replace"
                )  # a terminal that cannot show ✓ shows ? instead of failing
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ModelaneError as exc:
            codes = (code for branch, code in EXIT_CODES.items() if isinstance(exc, branch))
            raise _failed(str(exc), next(codes, 1), exc) from exc
        except KeyboardInterrupt as exc:
            raise _failed("interrupted", INTERRUPTED, exc) from exc


def _failed(sentence: str, exit_code: int, cause: BaseException) -> click.exceptions.Exit:
    """Print the error and its notes, and return the exception that ends the program."""
    for line in (f"Error: {sentence}", *getattr(cause, "__notes__", ())):
        click.echo(line, err=True)
    return click.exceptions.Exit(exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modelane", prog_name="modelane")
def main() -> None:
    """Predictions from scikit-learn models, served from a queue.

    \b
    Exit codes:
        0    done
        1    failed; the message on standard error says why
        2    wrong usage, or a wrong setting
        3    trained and published, but the gate kept the champion (modelane train)
        4    the request is wrong; sending it again does not help
        5    try again later: the lane is full, or Redis does not answer
        6    not answered: expired, revoked, timed out, or a dead letter
        7    the model raised an error, or returned a wrong shape
        130  interrupted with Ctrl-C

    \b
    Start with:
        modelane demo                     # the main job from end to end, on this machine
        modelane up                       # Redis, worker, trainer, beat and Flower
        modelane init churn --data churn.csv --target left
    """  # noqa: D301  # click wants a real backspace


def require(module: str, *, extra: str, command: str) -> None:
    """Check that a module can be imported.

    Raises:
        click.ClickException: it cannot; the message says what to install.
    """
    try:
        import_module(module)
    except ImportError as exc:
        raise _missing(command, extra, exc) from exc


def _missing(command: str, extra: str, why: ImportError) -> click.ClickException:
    return click.ClickException(f"`modelane {command}` needs more packages: {_remedy(extra)} ({why})")


def _remedy(extra: str) -> str:
    return f'pip install "modelane[{extra}]"'


def _not_installed(entry: EntryPoint, why: ImportError) -> click.Command:
    """Return a command that stays in `--help`, and says what to install when it is used."""
    extra = _EXTRAS.get(entry.module.partition(".")[0], "all")

    def refuse(**_: object) -> None:
        raise _missing(entry.name, extra, why)

    return click.Command(
        entry.name,
        callback=refuse,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        help=f"Needs {_remedy(extra)}",
    )
