"""Read the messages of a lane whose ETA is still to come, for ``celery inspect scheduled`` and Flower."""

from __future__ import annotations

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.errors import Undecodable
from modelane.keys import QueueKeys
from modelane.protocol import message as wire

#: Largest message that is read only to be shown, in bytes.
MAX_BYTES = 64 * 1024
#: Leases that are searched: those of batches that are being computed lie in between.
MAX_LEASES = 4096


class DelayedMessages:
    """The delayed messages of one queue."""

    def __init__(self, client: redis.Redis, keys: QueueKeys) -> None:
        self._keys = keys
        self._script = Script(client, "delayed")

    def soonest(self, most: int) -> list[tuple[float, wire.Envelope]]:
        """Return the messages that are due soonest.

        Args:
            most: number of messages to return at most.

        Returns:
            Pairs of due time (Unix seconds on the clock of Redis) and message, by due time.

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
