"""What a client can request from real workers: a version by name, one answer per id, a cancellation."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from modelane.errors import UnknownModel
from modelane.protocol import serializer
from support.waiting import eventually
from support.workplace import MODEL, SharedStack


def test_requests_for_different_versions_are_not_mixed_in_a_batch(shared: SharedStack, rows):
    old, new = shared.champion, shared.bring_spare()
    client = shared.client()
    asked = [(old, new, None)[n % 3] for n in range(60)]
    with shared.held(shared.serving):
        sent = [
            client.submit(MODEL, rows[n : n + 1], method="predict_proba", version=version)
            for n, version in enumerate(asked)
        ]
        never = client.submit(MODEL, rows[:1], version="20200101T000000.000000Z-00000000")
        client.flush()

    answers = [future.result() for future in sent]

    assert [answer.version for answer in answers] == [version or old for version in asked]
    expected = {version: shared.expected(version, rows[:60]) for version in (old, new)}
    for n, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.values, expected[answer.version][n : n + 1])
    assert {answer.attempts for answer in answers} == {1}
    assert all(answer.gathered_s > 0 and answer.predict_s > 0 for answer in answers)
    with pytest.raises(UnknownModel, match="version"):
        never.result()


def test_a_request_that_is_cancelled_before_a_worker_takes_it_is_not_computed(shared: SharedStack, rows):
    # Given a worker whose lane is closed, and two requests that wait there
    client = shared.client()
    with shared.held(shared.serving):
        cancelled, kept = (client.submit(MODEL, rows[:1]) for _ in range(2))
        client.flush()

        cancelled.cancel()
        eventually(lambda: shared.redis.zscore("modelane.revoked", cancelled.id), "it is revoked")

    assert len(kept.result()) == 1
    stored = serializer.loads(shared.redis.get(f"celery-task-meta-{cancelled.id}"))
    assert (stored["status"], stored["result"]["exc_type"]) == ("REVOKED", "Revoked")


def test_requests_with_one_id_from_several_clients_are_computed_once(shared: SharedStack, rows):
    assert shared.serving.runs
    clients = [shared.client() for _ in range(3)]
    sent = [client.submit(MODEL, rows[:5], id=f"order-{n}") for n in range(20) for client in clients]

    answers = [future.result() for future in sent]

    assert len({(answer.queued_s, answer.predict_s) for answer in answers}) <= 20
    attached = shared.client().attach("order-7").result()
    assert msgspec.structs.astuple(attached)[1:] == msgspec.structs.astuple(answers[7 * 3])[1:]


def test_a_mistyped_model_name_is_refused_with_a_suggestion(shared: SharedStack, rows):
    assert shared.serving.runs
    client = shared.client()
    mistyped = client.submit("breast-canser", rows[:1])

    with pytest.raises(
        UnknownModel, match=r"models in service: breast-cancer,.*; did you mean 'breast-cancer'"
    ):
        mistyped.result()
    assert len(client.predict(MODEL, rows[:1])) == 1
