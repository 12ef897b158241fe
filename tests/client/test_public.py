"""The public interface of `import modelane`."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import modelane
from client.lane import Lane
from modelane import errors

README = Path(__file__).parents[2] / "README.md"


def test_the_public_names_are_these():
    assert modelane.__all__ == [
        "Answer",
        "Client",
        "ModelaneError",
        "NotAnswered",
        "Prediction",
        "PredictionFailed",
        "RequestError",
        "Retrained",
        "Settings",
        "TryLater",
    ]


def test_the_public_names_are_all_that_is_public():
    public = {
        name
        for name, value in vars(modelane).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }

    assert public == set(modelane.__all__)


def test_every_error_that_the_readme_names_is_public():
    named = set(re.findall(r"`(\w+)`", README.read_text())) & set(vars(errors))

    assert named <= set(modelane.__all__)


@pytest.mark.parametrize("module", [modelane, modelane.client], ids=lambda module: module.__name__)
def test_the_example_of_a_docstring_runs(module, server, redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)
    (example,) = re.findall(r"^(?: {4}.*\n|\n)+", module.__doc__, re.MULTILINE)
    names = {"rows": np.ones((2, 3)), "Client": modelane.Client}

    with Lane(server, "breast-cancer"):
        exec(textwrap.dedent(example), names)

    assert names["answer"].values.tolist() == [3.0, 3.0]


def test_importing_the_package_loads_no_heavy_dependency():
    heavy = {"redis", "celery", "kombu", "rich", "pandas", "pyarrow"}
    code = f"import sys, modelane; print(*{heavy} & set(sys.modules))"

    said = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, check=True)

    assert said.stdout == b"\n"
