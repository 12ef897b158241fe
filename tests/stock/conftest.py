"""One worker for all tests of this folder; its clients are stock Celery, made with nothing of modelane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from stock.caller import Caller
from support.event_listener import Listener
from support.processes import Process
from support.waiting import eventually
from support.workplace import SharedStack, breast_cancer_rows


@pytest.fixture(scope="session")
def rows() -> list[list[float]]:
    return breast_cancer_rows()[:40].tolist()


@pytest.fixture(scope="session")
def workplace(shared_stack: SharedStack) -> SharedStack:
    return shared_stack


@pytest.fixture(scope="session")
def worker(shared_stack: SharedStack) -> Process:
    return shared_stack.serving


@pytest.fixture(scope="session")
def app(workplace: SharedStack) -> Celery:
    url = workplace.settings.broker_url
    return Celery("stock", broker=url, backend=url, set_as_current=False)


@pytest.fixture(scope="session")
def caller(app: Celery, worker: Process, rows: list[list[float]]) -> Caller:
    return Caller(app, rows)


@pytest.fixture(scope="session")
def expected(workplace: SharedStack, rows: list[list[float]]) -> list[int]:
    """Return the model's predictions of the rows in this process."""
    return workplace.expected(workplace.champion, rows, "predict").tolist()


@pytest.fixture(scope="session")
def listener(app: Celery, worker: Process) -> Iterator[Listener]:
    """Return a listener that receives all events from before the first request."""
    with Listener(app) as listener:
        eventually(lambda: listener.heartbeats(worker.name), "a heartbeat")
        yield listener


@pytest.fixture
def held_lane(worker: Process, workplace: SharedStack):
    """Return a context manager that keeps requests waiting in the lane."""
    return lambda: workplace.held(worker)
