"""Canvas when a worker is lost: handoffs to Celery are leased like every other message."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

import pytest
from celery import Celery, chord
from celery.exceptions import ChordError

from modelane.local.redis_server import RedisServer
from modelane_worker.lanes.manager import EXIT_HUNG
from stock.caller import LANE, Caller, get, refusal
from support.waiting import eventually
from support.workplace import Workplace


@pytest.fixture
def alone(trained, tmp_path):
    """Return a workplace for one test: its workers die."""
    shutil.copytree(trained, tmp_path / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=tmp_path / "redis"))
        yield Workplace(tmp_path / "home", server, ends, max_attempts=2, lease_s=1.0)


@pytest.fixture
def caller(alone, rows):
    url = alone.settings.broker_url
    return Caller(Celery("stock", broker=url, backend=url, set_as_current=False), rows)


@pytest.mark.full
def test_a_member_that_kills_its_workers_is_dead_lettered_and_its_chord_fails(alone, caller):
    deadly = caller.task("die", queue=LANE).set(task_id="deadly")
    result = chord([caller.predict(), deadly], caller.task("together", queue=LANE))()
    neighbours = [caller.predict(n).delay() for n in range(20)]

    for _ in range(2):
        worker = alone.worker("--include", "stock.tasks", ready=False)
        eventually(lambda worker=worker: not worker.runs, "its end")
    alone.worker("--include", "stock.tasks")

    error = refusal(caller.result("deadly"))
    assert type(error).__name__ == "Buried"
    assert "failed in 2 attempts" in str(error)
    eventually(result.ready, "the chord's end")
    assert isinstance(result.result, ChordError)
    assert all(get(neighbour) for neighbour in neighbours)
    assert alone.redis.hkeys(f"{LANE}.dead") == [b"deadly"]


@pytest.mark.full
def test_a_task_that_lost_its_worker_runs_again(alone, caller):
    nap = caller.task("nap", 3.0, queue=LANE).delay()
    first = alone.worker("--include", "stock.tasks")
    eventually(lambda: alone.redis.hlen(f"{LANE}.leased"), "the lease")

    first.kill()
    alone.worker("--include", "stock.tasks")

    assert get(nap) == 3.0
    eventually(lambda: not alone.redis.hlen(f"{LANE}.leased"), "its acknowledgement")


@pytest.mark.full
def test_a_handoff_that_hangs_ends_its_worker_and_another_worker_continues(alone, caller):
    caller.task("nap", 600.0, queue=LANE).set(task_id="hangs").delay()
    worker = alone.worker("--include", "stock.tasks", ready=False, predict_limit_s=1.0, max_attempts=1)

    assert worker.wait() == EXIT_HUNG
    assert "a task that Celery runs has run for more than 1 s" in worker.said
    prediction = caller.predict().delay()
    alone.worker("--include", "stock.tasks", max_attempts=1)
    assert get(prediction)
    assert type(refusal(caller.result("hangs"))).__name__ == "Buried"
