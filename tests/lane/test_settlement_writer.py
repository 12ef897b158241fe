"""Every result is stored in Redis, or its caller gets an error that says why not."""

import threading

import pytest
import redis

from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import RESULT_KEY_PREFIX, QueueKeys
from modelane.local.ports import LOOPBACK
from modelane_worker.lanes import settlement_writer
from modelane_worker.lanes.settlement_writer import SettlementWriter, Written

MIB = 2**20
REFUSAL = b"too large"


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def small_server(server):
    """Start a Redis whose values are limited to 1 MiB, the smallest limit that it accepts."""
    before = server.config_get("proto-max-bulk-len")
    server.config_set("proto-max-bulk-len", MIB)
    yield server
    server.config_set("proto-max-bulk-len", before["proto-max-bulk-len"])


@pytest.fixture
def queue(server):
    return LeasedQueue(server, QueueKeys("modelane.predict.m"))


@pytest.fixture(autouse=True)
def no_retry_pause(monkeypatch):
    monkeypatch.setattr(settlement_writer, "RETRY_S", 0.01)


def leased(queue, *values, lease_s=60.0) -> list[Settlement]:
    """Return settlements with these values, of requests that are leased."""
    queue.put([b'{"rows":1,"body":""}'] * len(values), max_depth=1000)
    leases = queue.reserve(
        lease_s=lease_s, max_requests=99, max_rows=99, max_bytes=10**6, max_attempts=3
    ).leases
    return [Settlement(lease.tag, f"id-{n}", values[n], 60) for n, lease in enumerate(leases)]


def settle(queue, outcomes, is_ending=None):
    wait = (is_ending or threading.Event()).wait

    def too_large(position):
        return Settlement(outcomes[position].tag, outcomes[position].id, REFUSAL, 60)

    return SettlementWriter(queue, wait).write(outcomes, too_large)


def stored(server, n):
    return [server.get(f"{RESULT_KEY_PREFIX}id-{number}") for number in range(n)]


def reply_is_lost(queue, monkeypatch, times=1):
    """Let Redis settle, and drop the connection before its reply arrives."""
    answered, left = queue.settle, [None] * times

    def settle(settlements):
        said = answered(settlements)
        if left:
            left.pop()
            raise BrokerUnavailable("reset by peer")
        return said

    monkeypatch.setattr(queue, "settle", settle)


def test_a_result_that_redis_cannot_hold_becomes_an_error_and_the_others_are_stored(queue, small_server):
    outcomes = leased(queue, b"a", b"b" * (4 * MIB), b"c", b"d")

    settled = settle(queue, outcomes)

    assert (settled.fenced, settled.too_large) == (set(), {1})
    assert stored(small_server, 4) == [b"a", REFUSAL, b"c", b"d"]
    assert not small_server.exists(queue.keys.leases)


def test_large_answers_are_stored_in_several_steps(queue, server, monkeypatch):
    monkeypatch.setattr(settlement_writer, "MAX_BYTES", 3 * MIB)
    n_steps = []
    monkeypatch.setattr(queue, "settle", lambda s, really=queue.settle: n_steps.append(len(s)) or really(s))

    settled = settle(queue, leased(queue, *(bytes([n]) * MIB for n in range(5)), b"x" * (4 * MIB)))

    assert n_steps == [3, 2, 1]
    assert settled == Written()
    assert [len(value) for value in stored(server, 6)] == [MIB] * 5 + [4 * MIB]


def test_a_stored_result_counts_as_ours_even_if_the_reply_was_lost(queue, server, monkeypatch):
    outcomes = leased(queue, b"a", b"b", b"c")
    reply_is_lost(queue, monkeypatch)

    assert settle(queue, outcomes) == Written()
    assert stored(server, 3) == [b"a", b"b", b"c"]


def test_a_result_of_another_worker_does_not_count_as_ours_even_if_a_reply_was_lost(
    queue, server, monkeypatch
):
    outcomes = leased(queue, b"a", b"b", lease_s=0.01)
    server.zadd(queue.keys.leases, dict.fromkeys(server.zrange(queue.keys.leases, 0, -1), 0))
    again = queue.reserve(lease_s=60, max_requests=99, max_rows=99, max_bytes=10**6, max_attempts=5).leases
    queue.settle([Settlement(lease.tag, f"id-{n}", b"other", 60) for n, lease in enumerate(again)])
    reply_is_lost(queue, monkeypatch)

    assert settle(queue, outcomes).fenced == {0, 1}
    assert stored(server, 2) == [b"other", b"other"]


def test_a_lane_that_stops_does_not_wait_for_redis(queue, monkeypatch):
    outcomes, is_ending = leased(queue, b"a"), threading.Event()
    is_ending.set()
    reply_is_lost(queue, monkeypatch, times=9)

    with pytest.raises(BrokerUnavailable):
        settle(queue, outcomes, is_ending)


def test_large_results_wait_while_redis_is_a_replica(queue, server, free_port):
    outcomes = leased(queue, b"b" * (2 * MIB), b"c")
    n_waits = 0

    class UntilItIsPrimary:
        def wait(self, _):
            nonlocal n_waits
            n_waits += 1
            if n_waits == 2 * settlement_writer.TRIES:
                server.replicaof("NO", "ONE")

    server.replicaof(LOOPBACK, free_port)
    try:
        settled = settle(queue, outcomes, UntilItIsPrimary())
    finally:
        server.replicaof("NO", "ONE")

    assert settled == Written()
    assert n_waits == 2 * settlement_writer.TRIES
    assert stored(server, 2) == [b"b" * (2 * MIB), b"c"]


def test_each_refused_result_is_retried_up_to_the_limit_before_it_is_left_to_its_lease(
    queue, server, monkeypatch
):
    outcomes, tries = leased(queue, b"a", b"b", b"c"), []

    def refuse(settlements, really=queue.settle):
        refused = [each.id for each in settlements if each.id != "id-2"]
        if not refused:
            return really(settlements)
        if len(settlements) == 1:
            tries.extend(refused)
        raise BrokerRefused("NOPERM")

    monkeypatch.setattr(queue, "settle", refuse)

    assert settle(queue, outcomes).refused == {0, 1}
    assert tries == ["id-0"] * settlement_writer.TRIES + ["id-1"] * settlement_writer.TRIES
    assert stored(server, 3) == [None, None, b"c"]


def test_the_check_of_whose_result_is_stored_is_retried_if_it_fails(queue, monkeypatch):
    outcomes, away = leased(queue, b"a"), [BrokerUnavailable("reset by peer")]
    reply_is_lost(queue, monkeypatch)

    def stored_when_there(ids, really=queue.stored):
        if away:
            raise away.pop()
        return really(ids)

    monkeypatch.setattr(queue, "stored", stored_when_there)

    assert settle(queue, outcomes) == Written()
