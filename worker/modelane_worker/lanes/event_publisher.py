"""Publishes a worker's events, from a thread of its own, so that no prediction waits for a dashboard.

lane → events → HERALD → Flower.  Knows nothing of what an event says.  It writes to the channel of Celery's
event exchange itself: kombu took longer to write the message around thousands of events than they take.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from typing import Any

import msgspec
import redis

from modelane.broker.connection import broker_errors
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import EVENT_EXCHANGE, EVENTS_KEY, events_channel

logger = logging.getLogger(__name__)

#: Events kept while the broker is away; beyond it the oldest are dropped: they are a view, not the truth.
MAX_WAITING = 50_000
#: Events in one message.
MAX_TOGETHER = 3_000
#: Seconds in which the events of many batches gather.  Publishing holds the interpreter's lock for about a
#: millisecond, and a forest asks for that lock a hundred times in one predict.
GATHER_S = 0.1
#: Seconds between two tries while the broker is away.
RETRY_S = 1.0


class Herald:
    """One thread, one connection.

    Args:
        client: of the broker.
        prefix: of every key and channel.
        hostname: the worker's node name.
    """

    def __init__(self, client: redis.Redis, prefix: str, hostname: str) -> None:
        self._redis = client
        self._channel = events_channel(client.get_connection_kwargs().get("db") or 0, prefix)
        self._around = {
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": hostname},
        }
        self._waiting: deque[Any] = deque(maxlen=MAX_WAITING)
        self._ring = threading.Event()
        self._closing = threading.Event()
        self._encode = msgspec.json.Encoder().encode
        self._thread = threading.Thread(target=self._run, name="modelane-herald", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Publish what waits, for at most ``timeout_s``."""
        self._closing.set()
        self._ring.set()
        self._thread.join(timeout_s)

    def add(self, event: Any) -> None:
        """Whatever msgspec can write; it leaves after the next :meth:`ring`."""
        self._waiting.append(event)

    def ring(self) -> None:
        self._ring.set()

    def _run(self) -> None:
        together: list[Any] = []
        while not (self._closing.is_set() and not self._waiting and not together):
            together = together or self._take()
            if not together:
                continue
            try:
                with broker_errors():
                    self._publish(together)
                together = []
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.warning("events wait for the broker: %s", exc, extra={"event": "events_wait"})
                if self._closing.wait(RETRY_S):
                    return
            except Exception:  # they are a view, not the truth: the next ones are shown again
                logger.exception("%d events are dropped", len(together), extra={"event": "events_failed"})
                together = []

    def _take(self) -> list[Any]:
        if not self._waiting:
            self._ring.wait(RETRY_S)
            self._ring.clear()
        if len(self._waiting) < MAX_TOGETHER:
            self._closing.wait(GATHER_S)
        n = min(len(self._waiting), MAX_TOGETHER)
        return [self._waiting.popleft() for _ in range(n)]

    def _publish(self, events: list[Any]) -> None:
        """As kombu's Redis transport writes a message of a fanout exchange; bytes become base64."""
        properties = {
            "body_encoding": "base64",
            "delivery_info": {"exchange": EVENT_EXCHANGE, "routing_key": EVENTS_KEY},
            "delivery_mode": 1,
            "delivery_tag": str(uuid.uuid4()),
            "priority": 0,
        }
        message = self._encode({**self._around, "body": self._encode(events), "properties": properties})
        self._redis.publish(self._channel, message)
