"""The shared worker serves the model of these tests, which costs nothing and knows its columns by name."""

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
    """A user's own folder, where this process is; its environment leads to the served model."""
    for name, value in served.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path
