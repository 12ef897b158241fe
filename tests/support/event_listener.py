"""Celery's own event receiver in a thread: it gets the events that a monitor such as Flower gets."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Self

from celery import Celery

from support.waiting import eventually

Event = dict[str, Any]

TERMINAL = frozenset({"task-succeeded", "task-failed", "task-revoked", "task-rejected"})


class Listener:
    def __init__(self, app: Celery) -> None:
        self.heard: list[Event] = []  #: all task events, in order of arrival
        self._app = app
        self._tasks: defaultdict[str, list[Event]] = defaultdict(list)
        self._heartbeats: defaultdict[str, list[Event]] = defaultdict(list)
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._thread.join()

    def heartbeats(self, worker: str) -> list[Event]:
        return list(self._heartbeats[worker])

    def of(self, id_: str) -> list[Event]:
        """Return the workers' events of a request in order of arrival, without the sender's own event."""
        return [event for event in self._tasks[id_] if event["type"] != "task-sent"]

    def types(self, id_: str) -> list[str]:
        return [event["type"].removeprefix("task-") for event in self.of(id_)]

    def until_ended(self, ids: Collection[str]) -> None:
        def has_ended(id_: str) -> bool:
            return any(event["type"] in TERMINAL for event in self.of(id_))

        eventually(lambda: all(map(has_ended, ids)), "a terminal event for each")

    def _listen(self) -> None:
        with self._app.connection_for_read() as connection:
            self._receiver = self._app.events.Receiver(connection, handlers={"*": self._hear})
            self._receiver.capture(limit=None, timeout=None, wakeup=True)

    def _hear(self, event: Event) -> None:
        if "uuid" in event:
            self.heard.append(event)
            self._tasks[event["uuid"]].append(event)
        elif event["type"] == "worker-heartbeat":
            self._heartbeats[event["hostname"]].append(event)
