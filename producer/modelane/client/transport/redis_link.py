"""A client's access to Redis: its lanes, its reply channel, and commands about requests by their ids.

:mod:`modelane.testing` replaces this class; everything else in the client is the same there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from modelane.broker.connection import broker_errors, connect
from modelane.broker.leased_queue import LeasedQueue
from modelane.broker.request_control import RequestControl
from modelane.keys import QueueKeys
from modelane.settings import Settings


class Subscription(Protocol):
    """The part of a redis-py subscription that the reply listener uses."""

    def get_message(self, *, timeout: float) -> Any:
        """Return the next message as redis-py does, or None after ``timeout`` seconds."""
        ...


class RedisLink:
    """Connections are opened on first use; thread-safe.

    Args:
        settings: the broker's URL and the prefix of its keys.
        channel: the client's reply channel, without the prefix.

    Attributes:
        channel: the same with the prefix.
        requests: commands about requests by their ids.
    """

    def __init__(self, settings: Settings, channel: str) -> None:
        self.channel = settings.prefix + channel
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._queues: dict[str, LeasedQueue] = {}
        self.requests = RequestControl(self._redis, settings.prefix)

    def queue(self, name: str) -> LeasedQueue:
        """Return the leased queue of a name."""
        if name not in self._queues:
            self._queues[name] = LeasedQueue(self._redis, QueueKeys(name, self._prefix))
        return self._queues[name]

    @contextmanager
    def subscription(self) -> Iterator[Subscription]:
        """Subscribe to the reply channel.

        Raises:
            BrokerUnavailable: the connection cannot be made, or was lost.
            BrokerRefused: Redis does not allow it.
        """
        with broker_errors(), self._redis.pubsub() as subscription:  # type: ignore[no-untyped-call]  # redis-py's gap
            subscription.subscribe(self.channel)
            yield subscription

    def close(self) -> None:
        """Close all connections, which wakes threads that wait on them with an error."""
        self._redis.close()
