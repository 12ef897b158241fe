"""Answer ``celery inspect``, ``celery control`` and Flower for Celery's own tasks and for the lanes.

No answer shows a caller's rows: arguments appear as their sender described them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import state as worker_state
from celery.worker.control import Panel
from kombu import Queue

from modelane.broker.delayed_messages import DelayedMessages
from modelane.protocol import message
from modelane_worker.celery_worker.revocations import Revocations
from modelane_worker.lanes.celery_handoff import snapshot
from modelane_worker.lanes.manager import LaneManager

Info = dict[str, Any]

#: Messages with an ETA that are shown of each lane, those due first.
MAX_SCHEDULED = 100
#: The last moment that ``datetime`` can hold, Unix seconds.
_LAST_S = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()


class LanePanel:
    """Handlers for the remote control of one consumer.

    Args:
        consumer: Celery's.
        lanes: of the same worker.
        scheduled: returns what reads the messages of a queue that wait for their time.
        revocations: remembers what was revoked.
    """

    def __init__(
        self,
        consumer: Any,
        lanes: LaneManager,
        scheduled: Callable[[str], DelayedMessages],
        revocations: Revocations,
    ) -> None:
        self._consumer = consumer
        self._lanes = lanes
        self._scheduled_in = scheduled
        self._revocations = revocations

    @property
    def handlers(self) -> dict[str, Callable[..., Any]]:
        return {
            **Panel.data,
            "active": self._active,
            "dump_active": self._active,
            "reserved": self._reserved,
            "dump_reserved": self._reserved,
            "scheduled": self._scheduled,
            "dump_schedule": self._scheduled,
            "active_queues": self._active_queues,
            "revoke": self._revoke,
            "disable_events": self._disable_events,
        }

    def _active(self, _state: Any, **_: object) -> list[Info]:
        infos = [request.info(safe=True) for request in snapshot(worker_state.active_requests)]
        for lane in self._lanes.lanes:
            active = lane.active
            began_s = time.time() - (time.monotonic() - active.since_s)
            infos += [self._info(lane.name, call.envelope, began_s) for call in active.calls]
        return infos

    def _reserved(self, _state: Any, **_: object) -> list[Info]:
        active = snapshot(worker_state.active_requests)
        reserved = [r for r in snapshot(worker_state.reserved_requests) if r not in active]
        infos = [request.info(safe=True) for request in reserved]
        for lane in self._lanes.lanes:
            infos += [self._info(lane.name, envelope) for envelope in lane.reserved]
        return infos

    def _scheduled(self, state: Any, **_: object) -> list[Info]:
        infos: list[Info] = Panel.data["scheduled"](state)
        for queue in self._lanes.queues:
            for due_s, envelope in self._scheduled_in(queue).soonest(MAX_SCHEDULED):
                infos.append({"eta": _iso8601(due_s), "priority": 6, "request": self._info(queue, envelope)})
        return infos

    def _active_queues(self, _state: Any, **_: object) -> list[Info]:
        own = list(self._consumer.task_consumer.queues) if self._consumer.task_consumer else []
        lanes = [Queue(name, exchange="", routing_key=name) for name in self._lanes.queues]
        return [dict(queue.as_dict(recurse=True)) for queue in own + lanes]

    def _revoke(self, state: Any, task_id: Any, **options: Any) -> Info:
        ids = set(maybe_list(task_id) or ())
        # A request that computes gets its answer, as a task that runs does: Celery would store a revocation.
        active = {call.envelope.headers.id for lane in self._lanes.lanes for call in lane.active.calls}
        reply: Info = Panel.data["revoke"](state, list(ids - active), **options)
        self._revocations.add(ids)
        return reply

    def _disable_events(self, state: Any) -> Info:
        dispatcher = state.consumer.event_dispatcher
        if dispatcher is not None and not dispatcher.groups:
            # No groups mean all groups; Celery itself would reply that there is nothing to disable.
            dispatcher.groups.update(("worker", "task"))
        reply: Info = Panel.data["disable_events"](state)
        return reply

    def _info(self, queue: str, envelope: message.Envelope, began_s: float | None = None) -> Info:
        headers = envelope.headers
        return {
            "id": headers.id,
            "name": headers.task,
            "args": headers.argsrepr,
            "kwargs": headers.kwargsrepr,
            "type": headers.task,
            "hostname": self._consumer.hostname,
            "time_start": began_s,
            "acknowledged": False,
            "delivery_info": {"routing_key": queue, "exchange": ""},
            "worker_pid": self._consumer.pid if began_s else None,
        }


def _iso8601(unix_s: float) -> str:
    """Return a moment as ISO 8601; one after the year 9999, as a time zone may cause, as that year's end."""
    return datetime.fromtimestamp(min(unix_s, _LAST_S), UTC).isoformat()
