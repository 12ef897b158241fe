"""Without lanes: the same requests, answers and errors on RabbitMQ and on kombu's in-memory broker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery, chord

from modelane.client import Client
from modelane.errors import SettingsError
from modelane.settings import Settings
from stock.caller import LANE, MODEL, TASKS, Caller, get, refusal
from stock.scenario import everything
from support import rabbitmq
from support.event_listener import Listener
from support.processes import TESTS, Process
from support.services import is_missing
from support.waiting import eventually

Start = Callable[..., Process]


@pytest.fixture(scope="session")
def on_lanes(app, worker, rows) -> dict[str, object]:
    """Return the results of the requests on Redis."""
    return everything(app, rows)


@pytest.fixture(scope="session")
def rabbit_url(tmp_path_factory) -> Iterator[str]:
    if not rabbitmq.is_installed():
        is_missing(f"no RabbitMQ: {rabbitmq.SERVER} comes with Debian's rabbitmq-server")
    with rabbitmq.running_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "home")


@pytest.fixture
def rabbit(rabbit_url: str) -> Celery:
    return Celery("stock", broker=rabbit_url, backend="rpc://", set_as_current=False)


@pytest.fixture
def start(rabbit: Celery, rabbit_url: str, home: Path) -> Iterator[Start]:
    """Return a function that starts a worker on RabbitMQ."""
    with ExitStack() as ends:

        def start(*args: str, queue: str = LANE, **settings: object) -> Process:
            env = Settings(home=str(home), broker_url=rabbit_url, store_poll_s=0.2, **settings).to_env()
            process = Process(
                "modelane_worker", "w@rabbit", env, home / "worker.log", "--include", "stock.tasks", *args
            )
            ends.callback(process.kill)
            eventually(lambda: queue in queues(rabbit, process), "the worker")
            return process

        yield start


def queues(app: Celery, process: Process) -> set[str]:
    assert process.runs, process.said
    answers = app.control.inspect([process.name], timeout=1.0).active_queues() or {}
    return {queue["name"] for queue in answers.get(process.name, ())}


@pytest.mark.full
def test_rabbitmq_gives_the_same_answers_and_errors_as_lanes(rabbit, start, rows, on_lanes):
    worker = start()

    assert everything(rabbit, rows) == on_lanes
    assert worker.end() == 0, worker.said


def test_the_in_memory_broker_gives_the_same_answers_and_errors_as_lanes(home, rows, on_lanes):
    done = subprocess.run(
        [sys.executable, "-m", "stock.scenario", home],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(on_lanes))


@pytest.mark.full
def test_each_request_has_its_three_events(rabbit, start, rows):
    worker = start()
    caller = Caller(rabbit, rows)
    with Listener(rabbit) as listener:
        eventually(lambda: listener.heartbeats(worker.name), "a heartbeat")
        right, wrong = caller.predict().delay(), caller.wrong().delay()
        listener.until_ended([right.id, wrong.id])

        assert listener.types(right.id) == ["received", "started", "succeeded"]
        assert listener.types(wrong.id) == ["received", "started", "failed"]
        assert "values" not in listener.of(right.id)[-1]["result"]


@pytest.mark.full
def test_a_queue_can_be_added_and_cancelled(rabbit, start, rows):
    worker = start("--models", "another", queue=TASKS)
    assert LANE not in queues(rabbit, worker)
    control, caller = rabbit.control, Caller(rabbit, rows)

    control.add_consumer(LANE, destination=[worker.name], reply=True)
    eventually(lambda: LANE in queues(rabbit, worker), "the queue")
    error = refusal(caller.predict().delay())
    control.cancel_consumer(LANE, destination=[worker.name], reply=True)

    assert "does not serve 'breast-cancer'" in str(error)
    eventually(lambda: LANE not in queues(rabbit, worker), "its end")


@pytest.mark.full
def test_a_cancelled_queue_stays_cancelled_until_it_is_added_again(rabbit, start, rows):
    worker = start()
    rabbit.control.cancel_consumer(LANE, destination=[worker.name], reply=True)
    eventually(lambda: LANE not in queues(rabbit, worker), "its end")
    waiting = Caller(rabbit, rows).predict().delay()

    rabbit.control.add_consumer(LANE, destination=[worker.name], reply=True)

    assert get(waiting)["model"] == MODEL


@pytest.mark.full
def test_a_model_that_appears_later_gets_its_queue_automatically(rabbit, start, rows, home):
    (home / "models" / MODEL).rename(home / "later")
    worker = start(queue=TASKS)
    waiting = Caller(rabbit, rows).predict().delay()

    (home / "later").rename(home / "models" / MODEL)

    assert get(waiting)["model"] == MODEL
    assert LANE in queues(rabbit, worker)


@pytest.mark.full
def test_results_on_redis_give_chords_and_the_results_of_links(rabbit_url, rabbit, start, rows, redis_url):
    start(result_url=redis_url)
    caller = Caller(Celery("stock", broker=rabbit_url, backend=redis_url, set_as_current=False), rows)
    header = [caller.predict(n) for n in range(5)]

    caller.predict(n=9).apply_async(link=caller.task("echo").set(task_id="linked"))

    assert len(get(chord(header)(caller.task("together")))) == 5
    assert get(caller.result("linked"))["model"] == MODEL
    with pytest.raises(NotImplementedError, match="does not support chords"):
        chord(header, app=rabbit)(Caller(rabbit, rows).task("together"))


def test_our_own_client_says_that_it_needs_redis():
    with pytest.raises(SettingsError, match=r"Celery's own client \(docs/how-to/other-brokers.md\)"):
        Client("amqp://somewhere")
