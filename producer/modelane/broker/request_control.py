"""Act on requests that are already in Redis by their ids: wait for their answers too, or revoke them.

Used by the client (``attach``, ``cancel``), by ``modelane retrain --cancel`` and by the worker's remote
control.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.keys import ATTACHED_KEY, MAX_REVOKED, REVOKED_KEY, REVOKED_TTL_S


class RequestControl:
    """The requests in one Redis, from any sender; thread-safe.

    Every method raises ``BrokerUnavailable`` if Redis does not answer; repeating the call is harmless.

    Args:
        client: connection to Redis.
        prefix: of every key.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._redis = client
        self._attached_key = prefix + ATTACHED_KEY
        self._revoked_key = prefix + REVOKED_KEY
        self._attach = Script(client, "attach")
        self._revoke = Script(client, "revoke")

    def attach(self, ids: Collection[str], *, channel: str, timeout_s: float) -> set[str]:
        """Have the answers of requests published to one more channel.

        Args:
            ids: of requests that others sent.
            channel: of the client that waits, prefix included.
            timeout_s: how long it waits for them.

        Returns:
            The ids that were revoked: no worker starts them any more.
        """
        with broker_errors():
            revoked = self._attach(
                keys=(self._attached_key, self._revoked_key, *(f"{self._attached_key}.{id_}" for id_ in ids)),
                args=(channel, math.ceil(timeout_s), *ids),
            )
        return {id_.decode() for id_ in revoked}

    def revoke(self, ids: Collection[str]) -> None:
        """Tell all workers, including those that start later, not to start these requests."""
        with broker_errors():
            self._revoke(keys=(self._revoked_key,), args=(REVOKED_TTL_S, MAX_REVOKED, *ids))

    def revoked_since(self, since_s: float) -> list[str]:
        """Return the ids that were revoked at or after ``since_s`` (Unix seconds on the clock of Redis)."""
        with broker_errors():
            found: Any = self._redis.zrangebyscore(self._revoked_key, since_s, "+inf")
        return [id_.decode() for id_ in found]
