from collections.abc import Iterator

import pytest
import redis

from modelane.keys import QueueKeys
from modelane.queue import LeasedQueue


@pytest.fixture
def server(redis_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def queue(server) -> LeasedQueue:
    return LeasedQueue(server, QueueKeys("modelane.predict.m"))
