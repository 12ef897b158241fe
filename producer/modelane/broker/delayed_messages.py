"""What lies in a lane and waits for its time, for people to look at.  reserve → release → SCHEDULED."""

from __future__ import annotations

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.errors import Undecodable
from modelane.keys import QueueKeys
from modelane.protocol import message as wire

#: Bytes of a message that is worth reading only to be shown.
MAX_BYTES = 64 * 1024
#: Leases that are looked at: those of batches in hand lie between.
MAX_LEASES = 4096


class DelayedMessages:
    """The messages of one queue whose ETA is still to come."""

    def __init__(self, client: redis.Redis, keys: QueueKeys) -> None:
        self._keys = keys
        self._script = Script(client, "delayed")

    def soonest(self, most: int) -> list[tuple[float, wire.Envelope]]:
        """Pairs of a due time (Unix seconds, by Redis) and a message, those due first.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with broker_errors():
            found = self._script(
                keys=(self._keys.leased, self._keys.leases), args=(most, MAX_BYTES, MAX_LEASES)
            )
        return [
            (float(due), envelope)
            for due, message in zip(found[::2], found[1::2], strict=True)
            if (envelope := _envelope(message)) is not None
        ]


def _envelope(message: bytes) -> wire.Envelope | None:
    try:
        return wire.read_envelope(message)
    except Undecodable:
        return None
