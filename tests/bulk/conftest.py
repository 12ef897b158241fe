"""A real worker for all tests of this folder, with one fast model whose columns have names."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelane.settings import Settings
from support.workplace import SharedStack


@pytest.fixture(scope="session")
def served(shared_stack: SharedStack) -> Settings:
    """Settings of a Redis server and a worker that serves the model."""
    assert shared_stack.serving.runs
    return shared_stack.settings


@pytest.fixture
def desk(served: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty working directory, with an environment in which commands find the worker."""
    for name, value in served.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path
