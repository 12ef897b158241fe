from collections.abc import Iterator

import pytest
import redis

from modelane.broker.leased_queue import LeasedQueue
from modelane.keys import QueueKeys


@pytest.fixture
def server(redis_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def queue(server) -> LeasedQueue:
    return LeasedQueue(server, QueueKeys("modelane.predict.m"))
