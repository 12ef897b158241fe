"""Revoked request ids, kept on Redis: a worker that starts later, or missed the broadcast, learns them too.

This replaces Celery's *mingle*, which asks the other workers, waits a second for their answers at every
connection, and learns nothing if there is no other worker.
"""

from __future__ import annotations

from collections.abc import Collection

import redis
from celery.utils.functional import maybe_list
from celery.worker import state as worker_state

from modelane.broker.connection import server_time_s
from modelane.broker.request_control import RequestControl
from modelane.protocol.message import Headers

#: Seconds of overlap between two calls of ``learn``: an id is stored a moment after the time of its score.
OVERLAP_S = 5.0


def is_revoked(headers: Headers) -> bool:
    """Return whether an id was revoked, or one of its stamps (``revoke_by_stamped_headers``)."""
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


class Revocations:
    """Celery's own set of a worker's revoked ids, shared by all workers through Redis.

    Args:
        client: connection to Redis.
        prefix: of every key.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._redis = client
        self._requests = RequestControl(client, prefix)
        self._since_s = 0.0

    def add(self, ids: Collection[str]) -> None:
        """Revoke ids here and for all other workers, as many and for as long as clients do.

        Raises:
            BrokerUnavailable: only this worker has revoked them.
        """
        if ids:
            worker_state.revoked.update(ids)
            self._requests.revoke(ids)

    def learn(self) -> None:
        """Add the ids that others have revoked since the last call.

        Raises:
            BrokerUnavailable: nothing was learned.
        """
        now_s = server_time_s(self._redis)
        ids = self._requests.revoked_since(self._since_s)
        self._since_s = now_s - OVERLAP_S
        worker_state.merge_revoked(ids)
