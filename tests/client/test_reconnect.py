"""Broken connections: requests are sent again, and answers are fetched."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import redis

from client.lane import MODEL, Lane
from modelane.client.transport import reply_listener, resend_buffer
from modelane.client.transport.backlog import Outgoing
from modelane.keys import REPLY_CHANNEL_PREFIX, predict_queue
from modelane.local.redis_server import RedisServer
from support.waiting import eventually

ROWS = np.ones((2, 3))


def test_killed_connections_lose_no_request(client, worker, server):
    futures = []
    for n in range(40):
        futures += [client.submit(MODEL, ROWS * (n * 50 + i)) for i in range(50)]
        if n % 4 == 0:
            kill_connections(server)
        time.sleep(0.01)

    assert [future.result(30).values[0] for future in futures] == [3.0 * n for n in range(2000)]


def test_answers_that_were_not_received_are_fetched(client, lane, server):
    # Given requests whose answers are published while the client is not subscribed
    futures = [client.submit(MODEL, ROWS * n) for n in range(1200)]
    leases = lane.take(1200)
    server.client_kill_filter(_type="pubsub")
    started_s = time.monotonic()
    lane.answer(leases[:600])
    lane.answer(leases[600:])

    # Then one check fetches them
    assert [future.result(10).values[0] for future in futures] == [3.0 * n for n in range(1200)]
    assert time.monotonic() - started_s < reply_listener.CHECK_S * 4


def test_puts_that_a_killed_redis_has_lost_are_repeated_and_others_are_not(client, lane, server):
    # Given two puts, of which Redis loses the second with its token, as in a crash between two fsyncs
    kept = client.submit(MODEL, ROWS)
    client.flush()
    marks = set(server.keys("*.put.*"))
    lost = client.submit(MODEL, ROWS * 2)
    client.flush()
    (mark,) = set(server.keys("*.put.*")) - marks
    server.lpop(predict_queue(MODEL))
    server.delete(mark)

    # When the connections come back
    kill_connections(server)

    # Then Redis has each once
    eventually(lambda: server.llen(predict_queue(MODEL)) >= 2, "the put is repeated")
    lane.answer(lane.take(2))
    assert [future.result(10).values[0] for future in (kept, lost)] == [3.0, 6.0]
    assert server.llen(predict_queue(MODEL)) == 0


def test_lost_puts_are_repeated_however_long_redis_was_away(client, lane, server, monkeypatch):
    # Given an older put without an answer, which Redis has lost
    monkeypatch.setattr(resend_buffer, "ANSWERED_AFTER_S", 0.05)
    monkeypatch.setattr(resend_buffer, "CHECK_S", 0.1)
    lost = client.submit(MODEL, ROWS)
    client.flush()
    for key in (predict_queue(MODEL), *server.keys("*.put.*")):
        server.delete(key)

    # When the client puts others before it notices the lost connection
    others = []
    for n in range(4):
        time.sleep(0.15)
        others.append(client.submit(MODEL, ROWS * n))
        client.flush()
    kill_connections(server)

    # Then Redis has all of them once
    eventually(lambda: server.llen(predict_queue(MODEL)) >= 5, "the put is repeated")
    lane.answer(lane.take(5))
    assert [future.result(10).values[0] for future in (lost, *others)] == [3.0, 0.0, 3.0, 6.0, 9.0]
    assert server.llen(predict_queue(MODEL)) == 0


def test_answered_requests_leave_the_resend_buffer(monkeypatch):
    monkeypatch.setattr(resend_buffer, "KEPT_BYTES", 12)
    remembered = resend_buffer.ResendBuffer()
    sent = {
        at_s: [Outgoing("q", 0, b"12", Future()) for _ in range(2)]
        for at_s in (0.0, 1.0, 2.0, 8.0, 15.0, 65.0)
    }

    def held():
        left = [*remembered._checked, *remembered._new]
        assert remembered._n_bytes == sum(len(each.message) for put in left for each in put.run) <= 12
        return sorted((put.at_s, len(put.run)) for put in left)

    def put(at_s):
        remembered.add(resend_buffer.Put(at_s, "token", sent[at_s], 4))
        return held()

    put(0.0)
    sent[0.0][0].prediction.is_done = True
    assert put(1.0) == [(0.0, 1), (1.0, 2)]
    sent[0.0][1].prediction.is_done = True
    assert put(2.0) == [(0.0, 1), (1.0, 2), (2.0, 2)], "it is checked again after a while"
    assert put(8.0) == [(1.0, 2), (2.0, 2), (8.0, 2)]
    assert put(15.0) == [(2.0, 2), (8.0, 2), (15.0, 2)], "the limit of bytes is kept"
    assert put(65.0) == [(8.0, 2), (15.0, 2), (65.0, 2)]
    assert [p.at_s for p in remembered.take()] == [8.0, 15.0, 65.0]
    assert held() == []


class Future:
    is_done = False

    def done(self) -> bool:
        return self.is_done


def test_a_lost_subscription_is_renewed(client, worker, server):
    client.predict(MODEL, ROWS)
    listening = server.pubsub_channels(f"{REPLY_CHANNEL_PREFIX}*")
    server.client_kill_filter(_type="pubsub")

    eventually(lambda: server.pubsub_numsub(*listening)[0][1] == 1, "it subscribes again")

    # Answers arrive through it again, not by the periodic check
    started_s = time.monotonic()
    for _ in range(10):
        client.predict(MODEL, ROWS)
    assert time.monotonic() - started_s < reply_listener.CHECK_S


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_requests_submitted_while_redis_is_away_are_answered_when_it_is_back(opened, tmp_path, how):
    with RedisServer(folder=tmp_path) as own, redis.Redis.from_url(own.url) as server:
        client = opened(broker_url=own.url)
        with Lane(server, MODEL):
            assert len(client.predict(MODEL, ROWS)) == 2
            if how == "killed":
                own.kill()
            else:
                os.kill(own.pid, signal.SIGSTOP)

            futures = [client.submit(MODEL, ROWS * n) for n in range(100)]
            time.sleep(0.5)
            assert not any(future.done() for future in futures)

            if how == "killed":
                own.start()
            else:
                os.kill(own.pid, signal.SIGCONT)
            assert [future.result(30).values[0] for future in futures] == [3.0 * n for n in range(100)]


def kill_connections(server: redis.Redis) -> None:
    for kind in ("normal", "pubsub"):
        server.client_kill_filter(_type=kind, skipme=True)
