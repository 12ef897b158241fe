"""When a worker ends at any moment, in any way, another worker answers the requests that it held."""

from __future__ import annotations

import random
import signal

import pytest

from faults.scene import KEYS
from support.waiting import eventually

pytestmark = pytest.mark.full


@pytest.mark.parametrize(
    ("step", "where"),
    [
        ("reserved", "between reserve and decode"),
        ("predicting", "during predict"),
        ("predicted", "between predict and settle"),
        ("settled", "after settle"),
    ],
)
def test_requests_survive_a_kill_of_the_worker_at_every_step(scene, step, where):
    scene.worker()
    with scene.under_load(f"kill -9 of a worker {where}") as load:
        mortals = [scene.worker(step=step, ready=False) for _ in range(2)]
        scene.in_turn(load, 2, lambda: mortals.pop().wait())


def test_requests_survive_random_kills_of_workers(scene):
    workers = scene.workers(2)
    with scene.under_load("kill -9 of one of two workers, at random") as load:
        for _ in range(4):
            eventually(load.some_answers(), "a random moment")
            victim = workers.pop(random.randrange(2))
            victim.kill()
            load.struck()
            workers.append(scene.worker())


def test_a_stalled_worker_that_wakes_up_late_is_fenced_off(scene):
    stalled = scene.worker()
    with scene.under_load("SIGSTOP past the lease, then SIGCONT") as load:
        eventually(scene.holds_a_batch, "a batch in hand")
        stalled.send(signal.SIGSTOP)
        load.struck()
        scene.worker()
        eventually(load.is_answered_again, "the other one's answers")
        held = set(scene.redis.hkeys(KEYS.leased))
        eventually(lambda: not held & set(scene.redis.hkeys(KEYS.leased)), "its leases' end")
        stalled.send(signal.SIGCONT)
        eventually(lambda: "another worker has them" in stalled.said, "the fence")


def test_workers_share_a_lane(scene):
    scene.worker()
    with scene.under_load("two more workers come and go") as load:
        others = scene.workers(2)
        scene.in_turn(load, 2, lambda: others.pop().end())


@pytest.mark.parametrize("signals", ["TERM", "TERM TERM", "TERM KILL"])
def test_requests_survive_a_shutdown_with_a_batch_in_flight(scene, signals):
    scene.worker()
    with scene.under_load(f"SIG{signals.replace(' ', ', SIG')} with a batch in flight") as load:
        eventually(scene.holds_a_batch, "a batch of the one that stays")
        others = scene.holders()
        for _ in range(2):
            ending = scene.worker()
            process = scene.stop_in_a_batch(ending, others)
            for name in signals.split():
                ending.send(signal.Signals[f"SIG{name}"])
                ending.send(signal.SIGCONT)
            load.struck()
            assert ending.wait() == (0 if "KILL" not in signals else -signal.SIGKILL), ending.said
            if signals == "TERM":
                assert process not in scene.holders(), "it has left no lease behind"
            others.add(process)
