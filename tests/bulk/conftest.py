"""A real worker for all tests of this folder, with one fast model whose columns have names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bulk.churn import MODEL, publish
from modelane.broker.connection import connect
from modelane.broker.served_models import served_models
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from support.waiting import eventually
from support.workplace import Process


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Settings]:
    """Settings of a Redis server and a worker that serves the model."""
    home = tmp_path_factory.mktemp("served")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer())
        settings = Settings(home=str(home), broker_url=server.url, store_poll_s=0.2, lease_s=2.0)
        publish(settings)
        worker = Process("modelane_worker", "bulk@test", settings.to_env(), home / "worker.log")
        ends.callback(worker.kill)
        client = ends.enter_context(connect(settings))
        eventually(
            lambda: MODEL in [one.model for one in served_models(client, "")], f"the worker: {worker.said}"
        )
        yield settings


@pytest.fixture
def desk(served, monkeypatch, tmp_path) -> Path:
    """An empty working directory, with an environment in which commands find the worker."""
    for name, value in served.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path
