"""Which versions workers hold, so that nobody throws them away.  live → HOLDINGS → Redis → retention.

A worker says it again and again; what it has not said for a while it does not hold any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import redis

from modelane.broker.connection import broker_errors, server_time_s
from modelane.keys import HELD_KEY, HELD_TTL_S

#: What a worker holds: pairs of model and version.
Held = Collection[tuple[str, str]]


class Holdings:
    """Raises ``BrokerUnavailable`` where Redis does not answer.

    Args:
        client: a connection to Redis.
        prefix: of every key.
        clock: seconds, forwards.
    """

    def __init__(
        self, client: redis.Redis, prefix: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = client
        self._key = prefix + HELD_KEY
        self._clock = clock
        self._said: frozenset[tuple[str, str]] = frozenset()
        self._say_at_s = 0.0

    def keep(self, held: Held) -> None:
        """Say what is held, if it is news or was said a while ago."""
        if frozenset(held) == self._said and self._clock() < self._say_at_s:
            return
        if held:
            until_s = server_time_s(self._redis) + HELD_TTL_S
            with broker_errors():
                self._redis.zadd(
                    self._key, {f"{model} {version}": until_s for model, version in held}, gt=True
                )
                self._redis.expire(self._key, HELD_TTL_S)
        self._said, self._say_at_s = frozenset(held), self._clock() + HELD_TTL_S / 3

    def of(self, model: str) -> set[str]:
        """Versions of a model that some worker holds."""
        now_s = server_time_s(self._redis)
        with broker_errors():
            self._redis.zremrangebyscore(self._key, "-inf", now_s)
            found: Any = self._redis.zrange(self._key, 0, -1)
        pairs = (member.decode().partition(" ") for member in found)
        return {version for name, _, version in pairs if name == model}
