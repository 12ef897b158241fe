"""The public API as type checkers and `import *` see it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from modelane import errors

ROOT = Path(__file__).parents[2]


@pytest.mark.full
def test_a_type_checker_reads_it_as_it_is_meant_and_finds_no_fault_in_the_examples():
    checked = [ROOT / "tests/typed/api.py", *sorted((ROOT / "examples").glob("*.py"))]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--warn-unused-ignores", *checked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["modelane", "modelane.errors", "modelane.testing", "modelane.app"])
def test_all_that_a_public_module_promises_is_there_and_in_order(module):
    public = importlib.import_module(module)

    assert list(public.__all__) == sorted(public.__all__)
    for name in public.__all__:
        assert getattr(public, name) is not None


def test_every_error_is_public():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.ModelaneError)
    }

    assert set(errors.__all__) == defined
