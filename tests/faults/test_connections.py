"""Requests are answered when connections break, one by one or all, closed or half-open."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from faults import frail
from faults.caller import start_caller
from faults.proxy import Proxy
from faults.scene import IN_FLIGHT, KEYS
from support.waiting import eventually

pytestmark = pytest.mark.full


def test_requests_survive_the_loss_of_each_connection(scene):
    scene.worker()
    with scene.under_load("CLIENT KILL of each connection, in turn") as load:
        own = scene.redis.client_id()
        for number in [int(client["id"]) for client in scene.redis.client_list()]:
            if number != own and scene.redis.client_kill_filter(_id=number):
                load.struck()
                eventually(load.is_answered_again, "an answer after it")


def test_requests_survive_the_loss_of_all_connections_together(scene):
    scene.worker()
    with scene.under_load("CLIENT KILL of all connections together") as load:
        scene.in_turn(load, 5, lambda: scene.redis.client_kill_filter(_type="normal", skipme=True))


def test_answers_arrive_after_the_reply_subscription_is_lost(scene):
    scene.worker()
    with scene.under_load("CLIENT KILL TYPE pubsub") as load:
        scene.in_turn(load, 10, lambda: scene.redis.client_kill_filter(_type="pubsub"))


@pytest.mark.parametrize("whose", ["worker", "client"])
def test_requests_survive_half_open_connections(scene, whose):
    with Proxy(scene.server.port) as proxy:
        scene.worker(broker_url=proxy.url if whose == "worker" else "")
        client = {"broker_url": proxy.url} if whose == "client" else {}
        with scene.under_load(f"all connections of a {whose} half-open", **client) as load:
            proxy.silence()
            load.struck()


def test_answers_arrive_despite_a_half_open_subscription(scene):
    scene.worker()
    with (
        Proxy(scene.server.port) as proxy,
        scene.under_load("the reply subscription half-open", broker_url=proxy.url) as load,
    ):
        before = set(proxy.subscriptions)
        proxy.silence_subscriptions()
        load.struck()
        eventually(lambda: proxy.subscriptions - before, "a new subscription")


def test_requests_of_a_client_that_dies_are_answered_and_can_be_read_by_id(scene, tmp_path):
    # Given another process whose requests are in the queue because the worker is stopped
    worker = scene.worker()
    with scene.under_load("kill -9 of a client that waits") as load:
        worker.send(signal.SIGSTOP)
        caller, sent = start_caller(scene.settings)
        eventually(lambda: in_redis(scene) == IN_FLIGHT + len(sent), "its requests in the queue")
        caller.kill()
        caller.wait()
        load.struck()
        worker.send(signal.SIGCONT)
    # Then its answers are stored once each, and another client can read them by id
    stored = scene.stored()
    expected = frail.Frail().predict(frail.rows())
    for number, id_ in enumerate(sent):
        assert stored[id_] == 1
        answer = scene.celery.AsyncResult(id_).get(timeout=10)
        np.testing.assert_array_equal(answer["values"], expected[number : number + 1])


def in_redis(scene) -> int:
    return scene.redis.llen(KEYS.first) + sum(map(int, scene.redis.hvals(KEYS.leased)))
