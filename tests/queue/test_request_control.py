"""Revoking requests by their ids: one place for clients and for Celery's remote control."""

import json

import pytest

from modelane.broker.connection import server_time_s
from modelane.broker.request_control import RequestControl
from modelane.keys import REVOKED_KEY


@pytest.fixture
def requests(server) -> RequestControl:
    return RequestControl(server, "shop:")


def test_a_revocation_that_every_worker_repeats_is_published_once(server, requests):
    with server.pubsub() as workers:
        workers.subscribe("shop:" + REVOKED_KEY)
        for _ in range(3):
            requests.revoke(["a", "b"])
        requests.revoke(["b", "c"])

        published = []
        while message := workers.get_message(timeout=0.5):
            published += [json.loads(message["data"])] if message["type"] == "message" else []

    assert published == [["a", "b"], ["c"]]


def test_a_worker_learns_what_was_revoked_since_it_last_asked(server, requests):
    requests.revoke(["early"])
    now_s = server_time_s(server)
    requests.revoke(["late"])

    assert requests.revoked_since(now_s) == ["late"]
    assert set(requests.revoked_since(0.0)) == {"early", "late"}
