"""What a client says about requests by their ids alone: that it waits for them too, or that nobody does.

Both are for requests that lie in Redis already, whoever put them there.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.keys import ATTACHED_KEY, MAX_REVOKED, REVOKED_KEY, REVOKED_TTL_S


class Ids:
    """Every method raises ``BrokerUnavailable`` if Redis does not answer; calling it again does no harm.

    Args:
        client: a connection to Redis.
        prefix: of every key.
        channel: of the client, prefix included.
    """

    def __init__(self, client: redis.Redis, prefix: str, channel: str) -> None:
        self._prefix = prefix
        self._channel = channel
        self._attach = Script(client, "attach")
        self._revoke = Script(client, "revoke")

    def attach(self, ids: Collection[str], *, timeout_s: float) -> set[str]:
        """Have their answers published to this client, too.

        Args:
            ids: of requests that others have sent.
            timeout_s: how long this client waits for them.

        Returns:
            Those that somebody has revoked: nobody begins with them any more.
        """
        attached = self._prefix + ATTACHED_KEY
        with broker_errors():
            revoked = self._attach(
                keys=(attached, self._prefix + REVOKED_KEY, *(f"{attached}.{id_}" for id_ in ids)),
                args=(self._channel, math.ceil(timeout_s), *ids),
            )
        return {id_.decode() for id_ in revoked}

    def revoke(self, ids: Collection[str]) -> None:
        """Tell all workers, those to come included, not to begin with them."""
        with broker_errors():
            self._revoke(keys=(self._prefix + REVOKED_KEY,), args=(REVOKED_TTL_S, MAX_REVOKED, *ids))
