"""One lane on a real Redis, its service played by a test: what is looked at again, and what is put off."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import redis

from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import Expired, Revoked, TryLater
from modelane.keys import QueueKeys
from modelane.protocol import message as wire
from modelane.settings import Settings
from modelane_worker.lanes.admission import Call
from modelane_worker.lanes.completion import RETRY_DELAY_S
from modelane_worker.lanes.lane import Lane
from modelane_worker.lanes.prefetch import Supply
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
#: Celery gets nothing here.
NO_HANDOVER = SimpleNamespace(
    has_room=lambda timeout_s: True, wants=lambda envelope, body: False, waiting=(), close=lambda: None
)


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def queue(server) -> LeasedQueue:
    return LeasedQueue(server, QueueKeys(NAME))


def a_message(id_: str, n_rows: int = 1, **options: object) -> bytes:
    return wire.write_message(
        id=id_,
        task="modelane.predict",
        queue=NAME,
        args=("m", np.zeros((n_rows, 3))),
        kwargs={},
        rows=n_rows,
        argsrepr="",
        reply_to="",
        sent_s=1.0,
        origin="",
        **options,
    )


class TestWhatIsReservedAhead:
    """Held while another batch computes, it may not be wanted any more when its turn comes."""

    @pytest.fixture
    def revoked(self) -> set[str]:
        return set()

    @pytest.fixture
    def supply(self, queue, revoked):
        supply = Supply(queue, LIMITS, handover=NO_HANDOVER, is_revoked=lambda headers: headers.id in revoked)
        yield supply
        supply.close()

    @pytest.fixture
    def held(self, queue, supply):
        """Two requests, reserved while a heavy batch computes."""
        queue.put([a_message("heavy", LIMITS.max_batch_rows)], max_depth=9)
        heavy = supply.next()
        expires_s = heavy.now_s + 60
        queue.put([a_message("one", expires_s=expires_s), a_message("other")], max_depth=9)
        supply.reserve_ahead(heavy)
        held = eventually(lambda: supply.ahead, "nothing was reserved ahead")
        assert [call.envelope.headers.id for call in held.calls] == ["one", "other"]
        return held

    def test_it_is_computed_if_it_is_still_wanted(self, supply, held):
        batch = supply.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["one", "other"]
        assert batch.refused == []

    def test_it_is_not_computed_if_it_was_revoked_meanwhile(self, supply, held, revoked):
        revoked.add("other")

        batch = supply.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["one"]
        (refused,) = batch.refused
        assert refused.envelope.headers.id == "other"
        assert isinstance(refused.error, Revoked)

    def test_it_is_not_computed_if_its_deadline_passed_meanwhile(self, supply, held):
        held.read_s -= 61  # it was read so long ago

        batch = supply.next()

        assert [call.envelope.headers.id for call in batch.calls] == ["other"]
        (refused,) = batch.refused
        assert refused.envelope.headers.id == "one"
        assert isinstance(refused.error, Expired)


class Unready:
    """A service that never can answer yet."""

    put_off = None

    def __init__(self) -> None:
        self.was_asked = threading.Event()

    def answer(self, calls: list[Call], breathe: object) -> list[TryLater]:
        self.was_asked.set()
        return [TryLater("not yet")] * len(calls)

    def give_back(self) -> None:
        pass


class Silent:
    """Events that nobody hears."""

    def __getattr__(self, name: str):
        return lambda *_: None


def put_off(server, queue) -> list[float]:
    """Redis times at which what was given back is due: batches of one, named by the batch they were of."""
    leases = server.zrange(queue.keys.leases, 0, -1, withscores=True)
    return [due_s for batch, due_s in leases if batch.count(b".") == 2]


def redis_time_s(server) -> float:
    seconds, microseconds = server.time()
    return seconds + microseconds / 1e6


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_what_meets_a_passing_fault_waits_longer_with_each_attempt(server, queue, attempts):
    service = Unready()
    lane = Lane(
        NAME,
        queue=queue,
        service=service,
        limits=LIMITS,
        events=Silent(),
        handover=NO_HANDOVER,
        suspicion=SimpleNamespace(of=lambda tag: nullcontext()),
        is_revoked=lambda headers: False,
        count=lambda n: None,
    )
    message = a_message("id-1")
    began_s = redis_time_s(server)
    queue.put([b'{"attempts":%d,' % attempts + message[1:] if attempts else message], max_depth=9)

    lane.start()
    try:
        assert service.was_asked.wait(DEADLINE_S)
        (due_s,) = eventually(lambda: put_off(server, queue), "it does not wait")
        ended_s = redis_time_s(server)
    finally:
        lane.stop()
        assert lane.join(DEADLINE_S)

    wait_s = RETRY_DELAY_S * 2**attempts
    assert began_s + wait_s * 0.5 <= due_s <= ended_s + wait_s * 1.5
