"""Ids that were revoked, kept on Redis: a worker that starts later, or missed the broadcast, knows them too.

This takes the place of Celery's *mingle*, which asks the other workers, waits a second for their answers
whenever it connects, and learns nothing if there is no other worker.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import redis
from celery.utils.functional import maybe_list
from celery.worker import state as worker_state

from modelane.broker.connection import broker_errors
from modelane.keys import MAX_REVOKED, REVOKED_TTL_S
from modelane.protocol.message import Headers

#: Seconds of overlap between two looks: ids are noted a moment after the time under which they are noted.
OVERLAP_S = 5.0


def is_revoked(headers: Headers) -> bool:
    """Whether its id was revoked, or one of its stamps (``revoke_by_stamped_headers``)."""
    if headers.id in worker_state.revoked:
        return True
    if not worker_state.revoked_stamps:
        return False
    stamps = headers.stamps or {}
    return any(
        stamp in maybe_list(worker_state.revoked_stamps.get(name, ()))
        for name in headers.stamped_headers or ()
        for stamp in maybe_list(stamps.get(name)) or ()
    )


class Revoked:
    """Celery's own set of a worker's revoked ids, shared by all workers.

    Args:
        client: a connection to Redis.
        key: sorted set, id → Redis time of its revocation.
    """

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._redis = client
        self._key = key
        self._since_s = 0.0

    def add(self, ids: Collection[str]) -> None:
        """Remember them here and for others, as many and as long as clients do.

        Raises:
            BrokerUnavailable: only this worker knows them.
        """
        if not ids:
            return
        worker_state.revoked.update(ids)
        with broker_errors():
            now_s = self._now_s()
            pipeline = self._redis.pipeline()
            pipeline.zadd(self._key, dict.fromkeys(ids, now_s))
            pipeline.zremrangebyscore(self._key, "-inf", now_s - REVOKED_TTL_S)
            pipeline.zremrangebyrank(self._key, 0, -MAX_REVOKED - 1)
            pipeline.execute()

    def learn(self) -> None:
        """Take over what was added since the last time.

        Raises:
            BrokerUnavailable: nothing was learned.
        """
        with broker_errors():
            now_s = self._now_s()
            found: Any = self._redis.zrangebyscore(self._key, self._since_s, "+inf")
        self._since_s = now_s - OVERLAP_S
        worker_state.merge_revoked([id_.decode() for id_ in found])

    def _now_s(self) -> float:
        seconds, microseconds = self._redis.time()
        return float(seconds) + microseconds / 1e6
