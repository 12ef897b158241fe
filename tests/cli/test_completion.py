"""`modelane completion`, and what the shells make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from modelane.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program_and_its_variable(shell):
    printed = CliRunner().invoke(main, ["completion", shell])

    assert printed.exit_code == 0
    assert f"_MODELANE_COMPLETE={shell}_complete" in printed.output


def test_another_shell_is_a_usage_error():
    assert CliRunner().invoke(main, ["completion", "tcsh"]).exit_code == 2


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_commands(tmp_path):
    # Given a program of that name on PATH, and the script as a user would install it
    program = tmp_path / "modelane"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelane "$@"\n')
    program.chmod(0o755)
    script = CliRunner().invoke(main, ["completion", "bash"]).output

    # When bash asks, as it does when Tab is pressed
    asked = script + (
        "COMP_WORDS=(modelane retr); COMP_CWORD=1\n"
        '_modelane_completion modelane retr modelane; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], env=env, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["retrain"], done.stderr
