"""Fixtures of the acceptance tests; what they are made of stands in workplace.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_training.pipeline import local_run
from modelane_training.recipe_loader import recipe_of
from support.workplace import MODEL, Workplace


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A home with one version of the model and its keys; tests work on copies."""
    home = tmp_path_factory.mktemp("trained")
    recipe = recipe_of(MODEL, home / "no recipes")
    # The broker is not there: a bell that nobody hears must not stop a training.
    local_run.train(Settings(home=str(home), broker_url="redis://127.0.0.1:1/0"), recipe, lambda *_: None)
    return home


@pytest.fixture
def workplace(trained: Path, tmp_path: Path) -> Iterator[Workplace]:
    shutil.copytree(trained, tmp_path / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=tmp_path / "redis"))
        yield Workplace(tmp_path / "home", server, ends)


@pytest.fixture
def rows() -> np.ndarray:
    recipe = recipe_of(MODEL, Path("no recipes"))
    return recipe.collect().matrix()
