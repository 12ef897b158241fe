"""A request that ends its worker is buried, its caller told, and its neighbours answered."""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.workplace import eventually
from faults import frail
from faults.frail import MODEL
from faults.scene import KEYS
from modelane.errors import Buried
from modelane.keys import QueueKeys, predict_queue


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (frail.ABORT, "a predict that aborts the process"),
        (frail.SEGFAULT, "a predict that is a segmentation fault"),
        (frail.HANG, "a predict that hangs past its limit"),
    ],
)
def test_only_the_culprit_is_buried(scene, order, fault):
    # Given a culprit in the middle of one batch of two hundred, and workers that a supervisor restarts
    client, rows = scene.client(), frail.rows()
    neighbours = [client.submit(MODEL, rows[n : n + 1]) for n in range(100)]
    culprit = client.submit(MODEL, frail.telling(order))
    neighbours += [client.submit(MODEL, rows[n : n + 1]) for n in range(100, 200)]
    eventually(lambda: scene.redis.llen(KEYS.first) == 201, "all in the queue")
    workers = []

    def culprit_is_buried() -> bool:
        if not (workers and workers[-1].runs):
            workers.append(scene.worker(ready=False, max_batch_requests=256, predict_limit_s=2.0))
        return culprit.done()

    eventually(culprit_is_buried, "the burial")

    # Then it has cost three workers, its caller knows, and all others have their answers
    with pytest.raises(Buried, match="3 workers were lost"):
        culprit.result()
    assert scene.redis.hkeys(KEYS.dead) == [culprit.id.encode()]
    answers = np.concatenate([neighbour.result().values for neighbour in neighbours])
    np.testing.assert_array_equal(answers, np.arange(200))
    assert len(workers) == 4
    assert scene.is_at_rest()


def test_a_slow_request_in_another_lane_of_the_worker_is_not_buried_with_it(scene):
    # Given a lane that is opened first and computes for longer than the worker lives
    frail.publish(scene.settings, "a-neighbour")
    client = scene.client()
    slow = client.submit("a-neighbour", frail.telling(frail.SLOW))
    culprit = client.submit(MODEL, frail.telling(frail.ABORT))
    for model in ("a-neighbour", MODEL):
        keys = QueueKeys(predict_queue(model))
        eventually(lambda keys=keys: scene.redis.llen(keys.first) == 1, "both in their queues")
    workers = []

    def both_have_ended() -> bool:
        if not (workers and workers[-1].runs):
            workers.append(scene.worker(ready=False))
        return slow.done() and culprit.done()

    eventually(both_have_ended, "the burial and the answer")

    assert slow.result().model == "a-neighbour"
    assert isinstance(culprit.exception(), Buried)
