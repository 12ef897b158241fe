"""Celery task events for a lane's requests: one received, one started and one terminal event for each.

Called by the lane and its settler; uses :mod:`modelane_worker.lanes.event_publisher`. Flower shows them.
They never hold a caller's data: arguments and results are described by their shape.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from celery.utils.time import utcoffset

from modelane.errors import Expired, ModelaneError, Revoked, RunEnded
from modelane.protocol.message import Envelope
from modelane_worker.lanes.admission import Refused
from modelane_worker.lanes.event_publisher import EventPublisher
from modelane_worker.lanes.service import Call, Result


class _Event(msgspec.Struct, tag_field="type", gc=False):
    """The fields of all events, by Celery's names."""

    hostname: str
    pid: int
    utcoffset: int
    uuid: str
    timestamp: float
    clock: int


class _Received(_Event, tag="task-received", omit_defaults=True):
    name: str
    args: str
    kwargs: str
    root_id: str | None = None
    parent_id: str | None = None
    retries: int = 0
    eta: str | None = None
    expires: str | None = None


class _Started(_Event, tag="task-started"):
    pass


class _Progress(_Event, tag="task-progress"):
    """Celery's monitors show an event of an unknown type as a state of that name."""

    result: str


class _Succeeded(_Event, tag="task-succeeded"):
    result: str
    runtime: float


class _Failed(_Event, tag="task-failed"):
    exception: str
    traceback: str


class _Revoked(_Event, tag="task-revoked"):
    expired: bool
    terminated: bool = False
    signum: int | None = None


class _Retried(_Event, tag="task-retried"):
    exception: str
    traceback: str = ""


class TaskEvents:
    """The task events of one worker. Thread-safe.

    Args:
        tick: advances Celery's logical clock and returns it.
        publisher: sends the events.
        hostname: the worker's node name.
        is_wanted: called once for a batch: whether events are enabled.
    """

    def __init__(
        self,
        tick: Callable[[], int],
        publisher: EventPublisher,
        hostname: str,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._is_wanted = is_wanted
        self._worker = (hostname, os.getpid(), utcoffset())
        self._tick = tick
        self._publisher = publisher

    def start(self) -> None:
        self._publisher.start()

    def close(self, timeout_s: float) -> None:
        """Publish what waits, for at most ``timeout_s``."""
        self._publisher.close(timeout_s)

    def received(self, items: Iterable[Call[Any] | Refused]) -> None:
        if not self._is_wanted():
            return
        now = self._now()
        for item in items:
            if item.envelope is None:
                continue
            headers = item.envelope.headers
            self._publisher.add(
                _Received(
                    *self._worker,
                    headers.id,
                    *now,
                    headers.task,
                    headers.argsrepr or "",
                    headers.kwargsrepr or "",
                    headers.root_id,
                    headers.parent_id,
                    headers.retries or 0,
                    headers.eta,
                    headers.expires,
                )
            )

    def started(self, items: Iterable[Call[Any] | Refused]) -> None:
        if not self._is_wanted():
            return
        now = self._now()
        for item in items:
            if item.envelope is not None:
                self._publisher.add(_Started(*self._worker, item.envelope.headers.id, *now))

    def progress(self, envelope: Envelope, text: str) -> None:
        if self._is_wanted():
            self._publisher.add(_Progress(*self._worker, envelope.headers.id, *self._now(), text))

    def ended(self, ends: Iterable[tuple[Call[Any] | Refused, Result]], runtime_s: float) -> None:
        """Add the terminal events.

        Args:
            ends: what was stored.
            runtime_s: wall time of the batch that the requests were part of.
        """
        if not self._is_wanted():
            return
        now = self._now()
        for item, result in ends:
            if item.envelope is None:
                continue
            common = (*self._worker, item.envelope.headers.id, *now)
            if isinstance(result, dict):
                self._publisher.add(_Succeeded(*common, _describe(result), runtime_s))
            elif isinstance(result, Expired | Revoked):
                self._publisher.add(_Revoked(*common, expired=isinstance(result, Expired)))
            else:
                self._publisher.add(_Failed(*common, _without_data(result), ""))

    def retried(self, call: Call[Any], error: ModelaneError) -> None:
        if self._is_wanted():
            common = (*self._worker, call.envelope.headers.id, *self._now())
            self._publisher.add(_Retried(*common, _without_data(error)))

    def publish(self) -> None:
        """Send the events that were added; called once for a batch, not for each event."""
        self._publisher.flush()

    def _now(self) -> tuple[float, int]:
        """Return the time and Celery's logical clock, which orders the events of several machines."""
        return time.time(), self._tick()


def _without_data(error: ModelaneError) -> str:
    """Describe an error without its message, which may repeat the caller's data; a run's limit does not."""
    if isinstance(error, RunEnded):
        return f"{error.code}: {error}"
    return f"{error.code}: {type(error).__doc__}"


def _describe(result: dict[str, Any]) -> str:
    """Describe a result as Flower shows it: version and shape, never the values."""
    if isinstance(values := result.get("values"), np.ndarray):
        return _describe_array(result["version"], values.shape, values.dtype)
    return str(result)


@lru_cache(maxsize=256)  # numpy takes microseconds to name a dtype
def _describe_array(version: str, shape: tuple[int, ...], dtype: object) -> str:
    return f"{version} [{'x'.join(map(str, shape))} {dtype}]"
