"""Act on requests that are already in Redis by their ids: wait for their answers, revoke or withdraw them.

Used by the client (``attach``, ``cancel``), ``modelane retrain --cancel`` and the worker's remote control.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.keys import (
    ATTACHED_KEY,
    MAX_REVOKED,
    RESULT_KEY_PREFIX,
    REVOKED_KEY,
    REVOKED_TTL_S,
    SERVED_KEY,
    SERVED_KEY_PREFIX,
    QueueKeys,
    predict_queue,
)


class ModelStatus(NamedTuple):
    """What Redis knows of a model.

    Attributes:
        is_known: whether it was ever published or announced; True also while no worker serves any model.
        is_served: whether a worker serves it now.
        withdrawn: ids of the requests that were removed from its lane; empty if it is known.
        served: names of the models that are served now, sorted.
    """

    is_known: bool
    is_served: bool
    withdrawn: frozenset[str]
    served: list[str]


class RequestControl:
    """The requests in one Redis, from any sender; thread-safe.

    Every method raises ``BrokerUnavailable`` if Redis does not answer; repeating the call is harmless.

    Args:
        client: connection to Redis.
        prefix: of every key.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix
        self._attached_key = prefix + ATTACHED_KEY
        self._revoked_key = prefix + REVOKED_KEY
        self._attach = Script(client, "attach")
        self._revoke = Script(client, "revoke")
        self._withdraw = Script(client, "withdraw")

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

    def results(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored result document of each request; None where there is none."""
        with broker_errors():
            found: Any = self._redis.mget([f"{self._prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in ids])
        return list(found)

    def withdraw_unknown(self, model: str, ids: Sequence[str]) -> ModelStatus:
        """Remove requests from the lane of a model that no worker knows; those of a known model stay."""
        lists = QueueKeys(predict_queue(model), self._prefix).priorities
        with broker_errors():
            is_known, n, *rest = self._withdraw(
                keys=(*lists, self._prefix + SERVED_KEY),
                args=(model, self._prefix + SERVED_KEY_PREFIX, self._prefix + RESULT_KEY_PREFIX, *ids),
            )
        found = [each.decode() for each in rest]
        if is_known:
            return ModelStatus(True, bool(n), frozenset(), sorted(found))
        return ModelStatus(False, False, frozenset(found[:n]), sorted(found[n:]))
