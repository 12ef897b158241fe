"""Publishes a worker's events, from a thread of its own, so that no prediction waits for a dashboard.

lane → events → HERALD → Flower.  Knows nothing of what an event says.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

import msgspec
from celery import Celery
from celery.events.event import get_exchange
from kombu import Producer

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
        app: whose broker and event exchange are used.
        hostname: the worker's node name.
    """

    def __init__(self, app: Celery, hostname: str) -> None:
        self._app = app
        self._hostname = hostname
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
        while not (self._closing.is_set() and not self._waiting):
            try:
                with self._app.connection_for_write() as connection:
                    producer = Producer(
                        connection,
                        exchange=get_exchange(connection, name=self._app.conf.event_exchange),
                    )
                    while not (self._closing.is_set() and not self._waiting and not together):
                        together = together or self._take()
                        if together:
                            self._publish(producer, together)
                            together = []
            except Exception as exc:  # kombu raises what its transport's library raises
                logger.warning("events wait for the broker: %s", exc, extra={"event": "events_wait"})
                if self._closing.wait(RETRY_S):
                    return

    def _take(self) -> list[Any]:
        if not self._waiting:
            self._ring.wait(RETRY_S)
            self._ring.clear()
        if len(self._waiting) < MAX_TOGETHER:
            self._closing.wait(GATHER_S)
        n = min(len(self._waiting), MAX_TOGETHER)
        return [self._waiting.popleft() for _ in range(n)]

    def _publish(self, producer: Producer, events: list[Any]) -> None:
        producer.publish(
            self._encode(events).decode(),
            content_type="application/json",
            content_encoding="utf-8",
            routing_key="task.multi",
            headers={"hostname": self._hostname},
            delivery_mode=1,
        )
