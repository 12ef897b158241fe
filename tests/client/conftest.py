from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis

from client.lane import MODEL, Lane
from modelane.client import Client
from modelane.settings import Settings


@pytest.fixture
def server(redis_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def opened(redis_url) -> Iterator[Callable[..., Client]]:
    """Return a function that creates clients with settings; they are closed after the test."""
    with ExitStack() as ends:

        def opened(timeout_s: float = 30.0, **settings: object) -> Client:
            chosen = Settings(**{"broker_url": redis_url} | settings)
            client = Client(settings=chosen, timeout_s=timeout_s)
            ends.callback(client.close, timeout_s=0.5)
            return client

        yield opened


@pytest.fixture
def client(opened) -> Client:
    return opened()


@pytest.fixture
def lane(server) -> Lane:
    """A fake worker that answers on command."""
    return Lane(server, MODEL)


@pytest.fixture
def worker(lane) -> Iterator[Lane]:
    """A fake worker that answers by itself."""
    with lane:
        yield lane
