"""A handoff is settled once when Celery has finished it, whichever thread does it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import redis

from lane.test_admission import a_message
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import QueueKeys
from modelane.protocol import message as wire
from modelane_worker.lanes.admission import Handoff
from modelane_worker.lanes.celery_handoff import Handoffs


class FailingQueue(LeasedQueue):
    """A queue that fails with ``trouble`` if that is set, and calls ``after_settle`` before it returns."""

    trouble: Exception | None = None
    after_settle = staticmethod(lambda: None)

    def settle(self, settlements):
        if self.trouble:
            raise self.trouble
        ignored = super().settle(settlements)
        self.after_settle()
        return ignored

    def release(self, tags, **how):
        if self.trouble:
            raise self.trouble
        return super().release(tags, **how)


@pytest.fixture
def queue(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield FailingQueue(client, QueueKeys("modelane.predict.m"))


@pytest.fixture
def handoffs(queue) -> Handoffs:
    worker = SimpleNamespace(
        consumer=SimpleNamespace(call_soon=lambda call: None), pool=SimpleNamespace(num_processes=2)
    )
    limits = SimpleNamespace(lease_s=60.0, max_batch_requests=10, max_attempts=3, result_ttl_s=60.0)
    return Handoffs("modelane.predict", queue, worker, limits)


@pytest.fixture
def running(queue, handoffs) -> list[Handoff]:
    """Two handoffs that Celery runs."""
    queue.put([a_message(headers={"id": id_}) for id_ in ("first", "second")], max_depth=9)
    leases = queue.reserve(lease_s=60, max_requests=9, max_rows=9, max_bytes=10**6, max_attempts=3).leases
    items = [Handoff(tag, message, wire.read_envelope(message), None) for tag, message in pairs(leases)]
    handoffs._running = {item.tag: item for item in items}
    return items


def pairs(leases):
    return [(lease.tag, lease.message) for lease in leases]


def held(queue) -> int:
    return sum(map(int, queue._redis.hvals(queue.keys.leased)))


def test_a_handoff_that_ends_while_two_threads_settle_is_settled_too(queue, handoffs, running):
    # Given a handoff that has ended while Redis was unavailable, and that the renewing thread settles
    first, second = running
    queue.trouble = BrokerUnavailable("away")
    handoffs._ack(first)
    queue.trouble = None
    is_settled, go_on = threading.Event(), threading.Event()

    def hold_up():
        if threading.current_thread() is renewing:
            is_settled.set()
            go_on.wait(10)

    queue.after_settle = hold_up
    renewing = threading.Thread(target=handoffs.renew)
    renewing.start()
    assert is_settled.wait(10)

    # When another thread has settled the same handoff, and the second handoff ends and is not settled yet
    handoffs._flush()
    queue.trouble = BrokerUnavailable("away again")
    handoffs._ack(second)
    queue.trouble = None
    go_on.set()
    renewing.join()

    # Then the second one is settled too
    handoffs.renew()
    assert held(queue) == 0
    assert not handoffs._running


@pytest.mark.parametrize("trouble", [BrokerUnavailable("away"), BrokerRefused("not allowed")])
def test_a_settlement_that_fails_is_repeated_later(queue, handoffs, running, trouble):
    queue.trouble = trouble
    handoffs._ack(running[0])
    assert held(queue) == 2

    queue.trouble = None
    handoffs.renew()

    assert held(queue) == 1


@pytest.mark.parametrize("trouble", [BrokerUnavailable("away"), BrokerRefused("not allowed")])
def test_a_release_that_fails_is_left_to_the_lease(queue, handoffs, running, trouble):
    queue.trouble = trouble

    for item in running:
        handoffs._reject(item, True)

    assert not handoffs._running, "its lease runs out"


def test_a_requeued_handoff_counts_as_an_attempt(queue, handoffs, running):
    for item in running:
        handoffs._reject(item, True)

    again = queue.reserve(lease_s=60, max_requests=9, max_rows=9, max_bytes=10**6, max_attempts=3).leases
    assert {wire.read_attempts(lease.message) for lease in again} == {1}
