"""The command line's frame: commands that are found, refused, and fail in words."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, version

import click
import pytest
from click.testing import CliRunner

from modelane import cli, errors
from modelane.cli import main


@pytest.fixture
def install(monkeypatch):
    """Put commands in place of the installed ones."""

    def install(**values: str) -> None:
        found = [EntryPoint(name, value, cli.GROUP) for name, value in values.items()]
        monkeypatch.setattr(cli, "entry_points", lambda **wanted: _Found(found).select(**wanted))

    return install


class _Found(list[EntryPoint]):
    names = property(lambda self: {entry.name for entry in self})

    def select(self, **wanted: str) -> _Found:
        return _Found(entry for entry in self if entry.matches(**wanted))


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_version_is_the_distribution_s():
    assert run("--version").output == f"modelane, version {version('modelane')}\n"


def test_help_lists_the_commands_of_all_packages():
    listed = run("--help")

    assert listed.exit_code == 0
    for command in ("up", "retrain", "train", "demo"):
        assert f"\n  {command} " in listed.output


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("modelane_training.absent", "training"),
        ("modelane_worker.absent", "worker"),
        ("elsewhere", "all"),
    ],
)
def test_a_command_whose_extra_is_missing_says_what_to_install(install, module, extra):
    install(up="modelane.cli.up:up", train=f"{module}:train")

    # When it is only listed, help stays whole
    listed = run("--help")
    assert listed.exit_code == 0
    assert f'Needs pip install "modelane[{extra}]"' in listed.output
    assert "\n  up " in listed.output

    # When it is used, in whatever way, it is refused in one line
    used = run("train", "recipe.py", "--quick", "-v")
    assert used.exit_code == 1
    assert used.output.startswith(
        f'Error: `modelane train` needs more packages: pip install "modelane[{extra}]" (No module named'
    )
    assert used.output.count("\n") == 1


def test_an_unknown_command_is_a_usage_error():
    asked = run("dance")

    assert asked.exit_code == 2
    assert "No such command 'dance'" in asked.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BrokerRefused("Redis rejects the command"), 1),
        (errors.SettingsError("MODELANE_LEASE_S='x': expected a number"), 2),
        (errors.BadInput("no rows given"), 4),
        (errors.BrokerUnavailable("Redis does not answer"), 5),
        (errors.QueueFull("lane", 9, 8, 0.5), 5),
        (errors.TimedOut("no answer came in time"), 6),
        (errors.PredictionFailed("the model raised"), 7),
    ],
)
def test_an_error_of_ours_is_one_sentence_and_a_code(install, monkeypatch, error, code):
    @click.command()
    def fail() -> None:
        raise error

    install(fail="irrelevant:fail")
    monkeypatch.setattr(EntryPoint, "load", lambda _: fail)

    failed = run("fail")

    assert failed.exit_code == code
    assert failed.output == f"Error: {error}\n"


def test_ctrl_c_ends_a_command_as_shells_expect(install, monkeypatch):
    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    install(wait="irrelevant:wait")
    monkeypatch.setattr(EntryPoint, "load", lambda _: wait)

    stopped = run("wait")

    assert stopped.exit_code == 130
    assert stopped.output == "Error: interrupted\n"


def test_every_exit_code_is_told_by_help():
    told = run("--help").output

    for code in (0, 1, *cli.EXIT_CODES.values(), cli.INTERRUPTED):
        assert f"\n      {code:<5}" in told


def test_a_wrong_setting_is_refused_in_words(monkeypatch):
    monkeypatch.setenv("MODELANE_LEASE_S", "soon")

    refused = run("retrain", "churn")

    assert refused.exit_code == 2
    assert refused.output == "Error: MODELANE_LEASE_S='soon': expected a number\n"


def test_a_terminal_that_knows_ascii_only_gets_no_traceback():
    code = (
        "import click, modelane.cli as cli\n"
        "cli.main.add_command(click.Command('say', callback=lambda: print('\\u2713 done')))\n"
        "cli.main(['say'])"
    )
    env = os.environ | {"PYTHONIOENCODING": "ascii"}

    said = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert (said.stdout, said.stderr, said.returncode) == ("? done\n", "", 0)


def test_scoring_without_pyarrow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not there

    refused = run("score", "churn", "in.csv", "out.csv")

    assert refused.exit_code == 1
    assert refused.output.startswith(
        'Error: `modelane score` needs more packages: pip install "modelane[bulk]" ('
    )
