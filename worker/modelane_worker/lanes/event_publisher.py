"""Publish a worker's Celery events from a thread of its own, so that no prediction waits for a monitor.

Called by :mod:`modelane_worker.lanes.task_events`; knows nothing about the content of events. It writes to
the channel of Celery's event exchange itself: kombu took longer to write the message around thousands of
events than the events themselves take.
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
from modelane.broker.retry import Outage
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import EVENT_EXCHANGE, EVENTS_KEY, events_channel

logger = logging.getLogger(__name__)

#: Events kept while Redis is unavailable; beyond it the oldest are dropped, as nothing depends on events.
MAX_WAITING = 50_000
#: Events in one message.
MAX_TOGETHER = 3_000
#: Seconds in which the events of many batches gather. Publishing holds the interpreter's lock for about a
#: millisecond, and a forest acquires that lock a hundred times in one predict.
GATHER_S = 0.1
#: Seconds between two looks for events, if nothing wakes the thread.
IDLE_S = 1.0


class EventPublisher:
    """One thread and one connection.

    Args:
        client: of Redis.
        prefix: of every key and channel.
        hostname: the worker's node name.
    """

    def __init__(self, client: redis.Redis, prefix: str, hostname: str) -> None:
        self._redis = client
        self._channel = events_channel(client.get_connection_kwargs().get("db") or 0, prefix)
        self._message = {
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": hostname},
        }
        self._waiting: deque[Any] = deque(maxlen=MAX_WAITING)
        self._wake_up = threading.Event()
        self._closing = threading.Event()
        self._encode = msgspec.json.Encoder().encode
        self._thread = threading.Thread(target=self._run, name="modelane-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Publish what waits, for at most ``timeout_s``."""
        self._closing.set()
        self._wake_up.set()
        self._thread.join(timeout_s)

    def add(self, event: Any) -> None:
        """Queue an event, which msgspec can encode; it is published after the next :meth:`flush`."""
        self._waiting.append(event)

    def flush(self) -> None:
        """Wake the thread up; returns immediately."""
        self._wake_up.set()

    def _run(self) -> None:
        together: list[Any] = []
        outage = Outage("events", self._closing.wait)
        while not (self._closing.is_set() and not self._waiting and not together):
            together = together or self._take()
            if not together:
                continue
            try:
                with broker_errors():
                    self._publish(together)
                together = []
                outage.end()
            except (BrokerUnavailable, BrokerRefused) as exc:
                if outage.pause(exc):
                    return
            except Exception:  # nothing depends on events: drop these, publish the next ones
                logger.exception(
                    "%d events could not be written and are dropped",
                    len(together),
                    extra={"event": "events_failed"},
                )
                together = []

    def _take(self) -> list[Any]:
        if not self._waiting:
            self._wake_up.wait(IDLE_S)
            self._wake_up.clear()
        if len(self._waiting) < MAX_TOGETHER:
            self._closing.wait(GATHER_S)
        n = min(len(self._waiting), MAX_TOGETHER)
        return [self._waiting.popleft() for _ in range(n)]

    def _publish(self, events: list[Any]) -> None:
        """Publish as kombu's Redis transport does to a fanout exchange; msgspec writes bytes as base64."""
        properties = {
            "body_encoding": "base64",
            "delivery_info": {"exchange": EVENT_EXCHANGE, "routing_key": EVENTS_KEY},
            "delivery_mode": 1,
            "delivery_tag": str(uuid.uuid4()),
            "priority": 0,
        }
        message = self._encode({**self._message, "body": self._encode(events), "properties": properties})
        self._redis.publish(self._channel, message)
