"""Fixtures for all tests.  Redis is a real server on a free port; nothing needs a network."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis

from modelane.local import ports
from modelane.local.redis_server import RedisServer
from modelane.settings import ENV_PREFIX


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=0.0, help="break everything at random for so many seconds")


@pytest.fixture(autouse=True, scope="session")
def _no_modelane_environment() -> Iterator[None]:
    """A developer's shell cannot change a result."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(variable)
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for the whole run, nothing kept on disk.  To stop one, start your own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The server's URL, its data flushed first."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def free_port() -> int:
    return ports.free_port()
