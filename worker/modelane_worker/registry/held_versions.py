"""The versions that workers hold in memory, so that retention does not remove them.

A worker writes what it holds and repeats it before it expires (``Presence`` of the Celery worker); a trainer
reads it before it removes old versions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import redis

from modelane.broker.connection import broker_errors, server_time_s
from modelane.keys import HELD_KEY, HELD_TTL_S

#: A model and one of its versions.
HeldVersion = tuple[str, str]


def hold(client: redis.Redis, prefix: str, held: Collection[HeldVersion]) -> None:
    """Note for ``HELD_TTL_S`` that a worker holds these versions.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    if not held:
        return
    key = prefix + HELD_KEY
    until_s = server_time_s(client) + HELD_TTL_S
    with broker_errors():
        client.zadd(key, {f"{model} {version}": until_s for model, version in held}, gt=True)
        client.expire(key, HELD_TTL_S)


def held_versions(client: redis.Redis, prefix: str, model: str) -> set[str]:
    """Return the versions of a model that any worker holds.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    key = prefix + HELD_KEY
    now_s = server_time_s(client)
    with broker_errors():
        client.zremrangebyscore(key, "-inf", now_s)
        found: Any = client.zrange(key, 0, -1)
    pairs = (member.decode().partition(" ") for member in found)
    return {version for name, _, version in pairs if name == model}
