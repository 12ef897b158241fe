"""What Flower sees: one received, one started and one terminal event a request, in Celery's own form.

Lanes hand over facts; a thread of its own encodes and publishes them, many in one message, so that no
prediction waits for a dashboard.  Payloads never appear: arguments are described by shape.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
from celery import Celery
from celery.events.event import get_exchange
from celery.utils.time import utcoffset
from kombu import Producer

from modelane.errors import Expired, ModelaneError, Revoked
from modelane_worker.intake import Call, Outcome, Refused, Traced

logger = logging.getLogger(__name__)

#: Events kept while the broker is away; beyond it the oldest are dropped: they are a view, not the truth.
MAX_WAITING = 50_000
#: Events in one message.
MAX_TOGETHER = 3_000
#: Seconds between two tries while the broker is away.
RETRY_S = 1.0

Fields = dict[str, Any]


class Events:
    """Celery task events of one worker.

    Args:
        app: whose broker, exchange and logical clock are used.
        hostname: the worker's node name.
    """

    def __init__(self, app: Celery, hostname: str) -> None:
        self._app = app
        self._constant = {"hostname": hostname, "pid": os.getpid(), "utcoffset": utcoffset()}
        self._waiting: deque[Fields] = deque(maxlen=MAX_WAITING)
        self._ring = threading.Event()
        self._closing = threading.Event()
        self._encode = msgspec.json.Encoder().encode
        self._thread = threading.Thread(target=self._run, name="modelane-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Publish what waits, for at most ``timeout_s``."""
        self._closing.set()
        self._ring.set()
        self._thread.join(timeout_s)

    def received(self, call: Call | Refused) -> None:
        if call.envelope is None:
            return
        headers = call.envelope.headers
        self._add(
            "task-received",
            headers.id,
            name=headers.task,
            args=headers.argsrepr or "",
            kwargs=headers.kwargsrepr or "",
            root_id=headers.root_id,
            parent_id=headers.parent_id,
            retries=headers.retries or 0,
            eta=headers.eta,
            expires=headers.expires,
        )

    def started(self, call: Call) -> None:
        self._add("task-started", call.envelope.headers.id)

    def ended(self, call: Call | Refused, outcome: Outcome, runtime_s: float) -> None:
        """The terminal event; ``runtime_s`` is the wall time of the batch that a request was part of."""
        if call.envelope is None:
            return
        id_ = call.envelope.headers.id
        if isinstance(outcome, Traced) and outcome.error is not None:
            outcome = outcome.error
        if isinstance(outcome, Expired | Revoked):
            self._add(
                "task-revoked",
                id_,
                terminated=False,
                signum=None,
                expired=isinstance(outcome, Expired),
            )
        elif isinstance(outcome, ModelaneError):
            sentence = f"{outcome.code}: {outcome}"
            self._add("task-failed", id_, exception=sentence, traceback=sentence)
        else:
            self._add("task-succeeded", id_, result=_describe(outcome), runtime=runtime_s)

    def retried(self, call: Call, error: ModelaneError) -> None:
        self._add("task-retried", call.envelope.headers.id, exception=str(error), traceback="")

    def publish(self) -> None:
        """Wake the publishing thread: once a batch, not once an event."""
        self._ring.set()

    def _add(self, type_: str, uuid: str, **fields: object) -> None:
        fields |= self._constant
        fields |= {
            "type": type_,
            "uuid": uuid,
            "timestamp": time.time(),
            "clock": self._app.clock.forward(),
        }
        self._waiting.append(fields)

    def _run(self) -> None:
        together: list[Fields] = []
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

    def _take(self) -> list[Fields]:
        if not self._waiting:
            self._ring.wait(RETRY_S)
            self._ring.clear()
        n = min(len(self._waiting), MAX_TOGETHER)
        return [self._waiting.popleft() for _ in range(n)]

    def _publish(self, producer: Producer, events: Iterable[Fields]) -> None:
        producer.publish(
            self._encode(list(events)).decode(),
            content_type="application/json",
            content_encoding="utf-8",
            routing_key="task.multi",
            headers={"hostname": self._constant["hostname"]},
            delivery_mode=1,
        )


def _describe(outcome: Outcome) -> str:
    """A result as Flower shows it: who answered and in what shape; never the values."""
    if isinstance(outcome, dict) and hasattr(outcome.get("values"), "shape"):
        shape = "x".join(map(str, outcome["values"].shape))
        return f"{outcome['version']} [{shape} {outcome['values'].dtype}]"
    return "" if isinstance(outcome, Traced) else str(outcome)
