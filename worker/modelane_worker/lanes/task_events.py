"""What Flower sees: one received, one started and one terminal event a request, in Celery's own form.

lane → EVENTS → herald → Flower.  Payloads never appear: arguments are described by shape.
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
from modelane_worker.lanes.admission import Call, Outcome, Refused
from modelane_worker.lanes.event_publisher import Herald


class _Event(msgspec.Struct, tag_field="type", gc=False):
    """What all events say; Celery's names."""

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
    """Celery's monitors show an event that they do not know as a state of that name."""

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


class Events:
    """Celery task events of one worker.

    Args:
        tick: Celery's logical clock, moved on.
        herald: publishes them.
        hostname: the worker's node name.
        wanted: asked once a batch whether anybody listens.
    """

    def __init__(
        self,
        tick: Callable[[], int],
        herald: Herald,
        hostname: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._wanted = wanted
        self._worker = (hostname, os.getpid(), utcoffset())
        self._tick = tick
        self._herald = herald

    def start(self) -> None:
        self._herald.start()

    def close(self, timeout_s: float) -> None:
        """Publish what waits, for at most ``timeout_s``."""
        self._herald.close(timeout_s)

    def received(self, calls: Iterable[Call | Refused]) -> None:
        if not self._wanted():
            return
        now = self._now()
        for call in calls:
            if call.envelope is None:
                continue
            headers = call.envelope.headers
            self._herald.add(
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

    def started(self, calls: Iterable[Call]) -> None:
        if not self._wanted():
            return
        now = self._now()
        for call in calls:
            self._herald.add(_Started(*self._worker, call.envelope.headers.id, *now))

    def progress(self, call: Call, words: str) -> None:
        """How far a long one has come."""
        if self._wanted():
            self._herald.add(_Progress(*self._worker, call.envelope.headers.id, *self._now(), words))

    def ended(self, ends: Iterable[tuple[Call | Refused, Outcome]], runtime_s: float) -> None:
        """The terminal events; ``runtime_s`` is the wall time of the batch that the requests were part of."""
        if not self._wanted():
            return
        now = self._now()
        for call, outcome in ends:
            if call.envelope is None:
                continue
            common = (*self._worker, call.envelope.headers.id, *now)
            if isinstance(outcome, dict):
                self._herald.add(_Succeeded(*common, _describe(outcome), runtime_s))
            elif isinstance(outcome, Expired | Revoked):
                self._herald.add(_Revoked(*common, expired=isinstance(outcome, Expired)))
            else:
                self._herald.add(_Failed(*common, _in_public(outcome), ""))

    def retried(self, call: Call, error: ModelaneError) -> None:
        if self._wanted():
            common = (*self._worker, call.envelope.headers.id, *self._now())
            self._herald.add(_Retried(*common, _in_public(error)))

    def publish(self) -> None:
        """Let go what was said: once a batch, not once an event."""
        self._herald.ring()

    def _now(self) -> tuple[float, int]:
        """Two clocks: this machine's, and the logical one, which orders events of many."""
        return time.time(), self._tick()


def _in_public(error: ModelaneError) -> str:
    """What happened, without the sentence: that is the caller's, and may repeat his data; not a limit's."""
    if isinstance(error, RunEnded):
        return f"{error.code}: {error}"
    return f"{error.code}: {type(error).__doc__}"


def _describe(result: dict[str, Any]) -> str:
    """A result as Flower shows it: who answered and in what shape; never the values."""
    if isinstance(values := result.get("values"), np.ndarray):
        return _describe_array(result["version"], values.shape, values.dtype)
    return str(result)


@lru_cache(maxsize=256)  # numpy takes microseconds to name a dtype
def _describe_array(version: str, shape: tuple[int, ...], dtype: object) -> str:
    return f"{version} [{'x'.join(map(str, shape))} {dtype}]"
