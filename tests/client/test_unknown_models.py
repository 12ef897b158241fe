"""Requests for unknown models fail; requests for models that exist wait."""

from __future__ import annotations

import time

import numpy as np
import pytest

from client.lane import MODEL, Lane
from modelane.client.transport import unknown_models
from modelane.errors import BadInput, TimedOut, UnknownModel
from modelane.keys import SERVED_KEY, SERVED_KEY_PREFIX, predict_queue

ROWS = np.ones((2, 3))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(unknown_models, "CHECK_AFTER_S", 0.2)


@pytest.fixture
def served(server):
    """Models that a worker has announced."""
    server.sadd(SERVED_KEY, "churn", "fraud", "elsewhere")
    for name in ("churn", "fraud"):
        server.set(SERVED_KEY_PREFIX + name, b"{}", ex=90)


def test_an_unknown_model_fails_long_before_the_timeout(client, served, server):
    futures = [client.submit("chrun", ROWS) for _ in range(3)]
    began_s = time.monotonic()

    for future in futures:
        with pytest.raises(
            UnknownModel,
            match=r"the model 'chrun'; models in service: churn, fraud; did you mean 'churn'\?",
        ):
            future.result(10)

    assert time.monotonic() - began_s < 5
    assert server.llen(predict_queue("chrun")) == 0, "the requests were withdrawn"


def test_its_id_can_be_used_again(client, served, server):
    with pytest.raises(UnknownModel):
        client.predict("chrun", ROWS, id="x")
    second = client.submit("churn", ROWS, id="x")

    lane = Lane(server, "churn")
    lane.answer(lane.take())
    with pytest.raises(BadInput):  # the test's worker answers as another model, and so it was computed
        second.result(10)


def test_a_request_that_a_worker_has_started_is_not_refused(client, served, server):
    lane = Lane(server, "new-one")
    future = client.submit("new-one", ROWS)
    leases = lane.take()
    time.sleep(1.5)

    assert not future.done()
    lane.answer(leases)
    assert len(future.result(10)) == 2


def test_a_model_that_was_published_after_the_request_is_not_refused(client, served, server):
    future = client.submit("new-one", ROWS)
    client.flush()
    server.sadd(SERVED_KEY, "new-one")
    time.sleep(1.5)

    assert not future.done()
    lane = Lane(server, "new-one")
    lane.answer(lane.take())
    assert len(future.result(10)) == 2


def test_a_known_model_that_is_not_served_times_out_with_the_reason(client, served):
    with pytest.raises(
        TimedOut, match="within 2 s: no worker serves the model 'elsewhere'; models in service: churn, fraud"
    ):
        client.predict("elsewhere", ROWS, timeout_s=2)


def test_without_workers_a_model_is_not_unknown(client):
    with pytest.raises(TimedOut, match="within 2 s: no worker serves the model 'sums', nor any other"):
        client.predict(MODEL, ROWS, timeout_s=2)


def test_other_requests_stay_in_the_lane(client, served, server):
    server.lpush(predict_queue("chrun"), b'{"headers":{"id":"x"}}')
    with pytest.raises(UnknownModel):
        client.predict("chrun", ROWS)

    assert server.llen(predict_queue("chrun")) == 1


def test_retrainings_are_not_checked(client, served):
    future = client.retrain("chrun")
    time.sleep(1.5)

    assert not future.done()
