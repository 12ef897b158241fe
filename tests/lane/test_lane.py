"""One lane on a real Redis with a fake service: what is checked again, retried, counted and answered."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import redis

from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BadInput, Expired, Revoked, TryLater
from modelane.keys import QueueKeys
from modelane.protocol import message as wire
from modelane.settings import Settings
from modelane_worker.lanes.admission import Admission
from modelane_worker.lanes.lane import Lane
from modelane_worker.lanes.prefetch import Prefetcher
from modelane_worker.lanes.service import Call
from modelane_worker.lanes.settler import RETRY_DELAY_S
from support.waiting import eventually

NAME = "modelane.predict.m"
DEADLINE_S = 20.0
LIMITS = Settings(
    max_batch_requests=10,
    max_batch_rows=4,
    max_batch_bytes=10**6,
    max_request_bytes=10**6,
    max_attempts=9,
    lease_s=60.0,
    tick_s=0.05,
    result_ttl_s=60.0,
)
#: Nothing is handed off here.
NO_HANDOFFS = SimpleNamespace(
    has_room=lambda timeout_s: True, is_handoff=lambda envelope, body: False, waiting=(), close=lambda: None
)


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def queue(server) -> LeasedQueue:
    return LeasedQueue(server, QueueKeys(NAME))


def a_message(id_: str, n_rows: int = 1, model: str = "m", **options: object) -> bytes:
    return wire.write_message(
        id=id_,
        task="modelane.predict",
        queue=NAME,
        args=(model, np.zeros((n_rows, 3))),
        kwargs={},
        rows=n_rows,
        argsrepr="",
        reply_to="",
        sent_s=1.0,
        origin="",
        **options,
    )


class TestPrefetchedRequests:
    """A prefetched request may be revoked or expire before it is served."""

    @pytest.fixture
    def revoked(self) -> set[str]:
        return set()

    @pytest.fixture
    def prefetcher(self, queue, revoked):
        admission = Admission(
            Unready(),
            LIMITS,
            is_revoked=lambda headers: headers.id in revoked,
            is_handoff=NO_HANDOFFS.is_handoff,
        )
        prefetcher = Prefetcher(queue, LIMITS, admission=admission, handoffs=NO_HANDOFFS)
        yield prefetcher
        prefetcher.close()

    @pytest.fixture
    def held(self, queue, prefetcher):
        """Two requests, reserved while a heavy batch computes."""
        queue.put([a_message("heavy", LIMITS.max_batch_rows)], max_depth=9)
        heavy = prefetcher.next()
        expires_s = heavy.now_s + 60
        queue.put([a_message("one", expires_s=expires_s), a_message("other")], max_depth=9)
        prefetcher.reserve_ahead(heavy)
        held = eventually(lambda: prefetcher.ahead, "nothing was reserved ahead")
        assert [call.envelope.headers.id for call in held.calls] == ["one", "other"]
        return held

    def test_it_is_served_if_nothing_has_changed(self, prefetcher, held):
        batch = prefetcher.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["one", "other"]
        assert batch.refused == []

    def test_it_is_not_served_if_it_was_revoked(self, prefetcher, held, revoked):
        revoked.add("other")

        batch = prefetcher.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["one"]
        (refused,) = batch.refused
        assert refused.envelope.headers.id == "other"
        assert isinstance(refused.error, Revoked)

    def test_it_is_not_served_if_its_deadline_has_passed(self, prefetcher, held):
        held.admitted_s -= 61  # it was admitted so long ago

        batch = prefetcher.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["other"]
        (refused,) = batch.refused
        assert refused.envelope.headers.id == "one"
        assert isinstance(refused.error, Expired)


class Unready:
    """A service that is never ready."""

    def __init__(self) -> None:
        self.was_asked = threading.Event()

    def admit(self, tag: bytes, envelope: object, body: object) -> str:
        if body[0][0] != "m":
            raise BadInput("no such model here")
        return "a request"

    def serve(self, calls: list[Call], serve_others: object) -> list[TryLater]:
        self.was_asked.set()
        return [TryLater("not yet")] * len(calls)

    def give_back(self) -> None:
        pass


class Silent:
    """Events that are dropped."""

    def __getattr__(self, name: str):
        return lambda *_: None


def released(server, queue) -> list[float]:
    """Return the Redis times at which released messages are due: batches of one, named after their batch."""
    leases = server.zrange(queue.keys.leases, 0, -1, withscores=True)
    return [due_s for batch, due_s in leases if batch.count(b".") == 2]


def redis_time_s(server) -> float:
    seconds, microseconds = server.time()
    return seconds + microseconds / 1e6


def a_lane(queue, service, events=None, count=lambda n: None) -> Lane:
    return Lane(
        NAME,
        queue=queue,
        service=service,
        settings=LIMITS,
        events=events or Silent(),
        handoffs=NO_HANDOFFS,
        suspect=SimpleNamespace(computing=lambda tag: nullcontext()),
        is_revoked=lambda headers: False,
        count=count,
    )


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_a_request_with_a_transient_fault_waits_longer_with_each_attempt(server, queue, attempts):
    service = Unready()
    lane = a_lane(queue, service)
    message = a_message("id-1")
    began_s = redis_time_s(server)
    queue.put([b'{"attempts":%d,' % attempts + message[1:] if attempts else message], max_depth=9)

    lane.start()
    try:
        assert service.was_asked.wait(DEADLINE_S)
        (due_s,) = eventually(lambda: released(server, queue), "it does not wait")
        ended_s = redis_time_s(server)
    finally:
        lane.stop()
        assert lane.join(DEADLINE_S)

    wait_s = RETRY_DELAY_S * 2**attempts
    assert began_s + wait_s * 0.5 <= due_s <= ended_s + wait_s * 1.5


def test_a_fault_in_our_code_does_not_end_the_lane(queue, monkeypatch):
    # Given a lane that fails once while it waits for messages
    service, failed, wait = Unready(), threading.Event(), queue.wait

    def failing_wait(timeout_s):
        if not failed.is_set():
            failed.set()
            raise ValueError("I/O operation on closed file")
        return wait(timeout_s)

    monkeypatch.setattr(queue, "wait", failing_wait)
    lane = a_lane(queue, service)
    lane.start()
    try:
        assert failed.wait(DEADLINE_S)

        # When a message arrives
        queue.put([a_message("id-1")], max_depth=9)

        # Then the lane serves it
        assert service.was_asked.wait(DEADLINE_S)
    finally:
        lane.stop()
        assert lane.join(DEADLINE_S)


class Noted(Silent):
    """Events that the test reads."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def received(self, items) -> None:
        self.heard += [("received", item.envelope.headers.id) for item in items]

    def started(self, items) -> None:
        self.heard += [("started", item.envelope.headers.id) for item in items]

    def ended(self, ends, runtime_s: float) -> None:
        self.heard += [("ended", item.envelope.headers.id) for item, _ in ends]


def test_wrong_arguments_are_answered_without_being_served_and_seen_as_a_task_that_ran(server, queue):
    service, events, counted = Unready(), Noted(), []
    lane = a_lane(queue, service, events, counted.append)
    queue.put([a_message("id-1", model="other")], max_depth=9)

    lane.start()
    try:
        stored = eventually(lambda: server.get("celery-task-meta-id-1"), "an answer")
    finally:
        lane.stop()
        assert lane.join(DEADLINE_S)

    assert b"no such model here" in stored
    assert events.heard == [("received", "id-1"), ("started", "id-1"), ("ended", "id-1")]
    assert sum(counted) == 1
    assert not service.was_asked.is_set()
