"""A request that kills its workers is dead-lettered with an error for its caller; others are answered."""

from __future__ import annotations

import numpy as np
import pytest

from faults import frail
from faults.frail import MODEL
from faults.load import Ledger
from faults.scene import KEYS
from modelane.errors import Buried
from modelane.keys import QueueKeys, predict_queue
from support.waiting import eventually

pytestmark = pytest.mark.full

#: One batch holds all requests, and a hung batch ends its worker soon.
LIMITS = {"max_batch_requests": 256, "predict_limit_s": 2.0}


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (frail.ABORT, "a predict that aborts the process"),
        (frail.SEGFAULT, "a predict that is a segmentation fault"),
        (frail.HANG, "a predict that hangs past its limit"),
        (frail.HANG_WITH_GIL, "a predict that hangs and holds the GIL"),
    ],
)
def test_only_the_request_that_kills_workers_is_dead_lettered(scene, order, fault):
    # Given a bad request in the middle of a batch of two hundred, and two workers that are restarted
    client, ledger = scene.client(), Ledger()
    for number, row in enumerate(np.split(frail.rows()[:200], 200)):
        if number == 100:
            culprit = client.submit(MODEL, frail.telling(order))
        ledger.add(number, client.submit(MODEL, row))
    eventually(lambda: scene.redis.llen(KEYS.first) == 201, "all in the queue")
    workers = [scene.worker(ready=False, **LIMITS) for _ in range(2)]

    def culprit_is_buried() -> bool:
        for dead in [worker for worker in workers if not worker.runs]:
            ledger.struck()
            workers.remove(dead)
            workers.append(scene.worker(ready=False, **LIMITS))
        return culprit.done() and len(ledger.strikes) == 3

    eventually(culprit_is_buried, "the third dead worker and the dead letter")

    # Then it has killed three workers, its caller gets an error, and all others get their answers
    with pytest.raises(Buried, match="failed in 3 attempts"):
        culprit.result()
    assert scene.redis.hkeys(KEYS.dead) == [culprit.id.encode()]
    scene.count(fault, ledger)


def test_a_slow_request_in_another_lane_of_the_worker_is_not_dead_lettered(scene):
    # Given a lane that is opened first and whose predict takes longer than the worker lives
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

    eventually(both_have_ended, "the dead letter and the answer")

    assert slow.result().model == "a-neighbour"
    assert isinstance(culprit.exception(), Buried)
