"""Random faults for a given time: ``uv run pytest tests/faults/test_soak.py --soak=3600``."""

from __future__ import annotations

import random
import signal
import time

import pytest

from support.waiting import eventually

pytestmark = pytest.mark.full


@pytest.mark.timeout(0)
def test_random_faults_lose_no_request(scene, request):
    if not (seconds := request.config.getoption("--soak")):
        pytest.skip("runs for --soak=SECONDS")
    workers = scene.workers(2)

    def lose_a_worker() -> None:
        how = random.choice([signal.SIGKILL, signal.SIGTERM])
        victim = workers.pop(0)
        victim.send(how)
        victim.wait()
        workers.append(scene.worker())

    def stall_a_worker() -> None:
        workers[0].send(signal.SIGSTOP)
        time.sleep(random.uniform(0.0, 3.0))  # both shorter and longer than a lease
        workers[0].send(signal.SIGCONT)

    faults = [
        lose_a_worker,
        stall_a_worker,
        scene.restart_redis,
        scene.redis.script_flush,
        lambda: scene.redis.client_kill_filter(_type="pubsub"),
        lambda: scene.redis.client_kill_filter(_type="normal", skipme=True),
    ]
    until_s = time.monotonic() + seconds
    with scene.under_load(f"all of these at random, for {seconds:g} s") as load:
        while time.monotonic() < until_s:
            eventually(load.some_answers(), "a random moment")
            load.struck()
            random.choice(faults)()
