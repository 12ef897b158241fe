"""One worker for all tests of this folder; its clients are stock Celery, made with nothing of modelane."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from celery import Celery

from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_training.pipeline import local_run
from modelane_training.recipe_loader import recipe_of
from stock.caller import LANE, MODEL, Caller
from support.event_listener import Listener
from support.waiting import eventually
from support.workplace import Process, Workplace

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A home with one version of the model and its keys."""
    home = tmp_path_factory.mktemp("published")
    settings = Settings(home=str(home), broker_url="memory://")
    local_run.train(settings, recipe_of(MODEL, home / "no recipes"), lambda *_: None)
    return home


@pytest.fixture(scope="session", autouse=True)
def _importable() -> Iterator[None]:
    """Workers find ``stock.tasks``, a user's module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture(scope="session")
def rows() -> list[list[float]]:
    table = recipe_of(MODEL, Path("no recipes")).collect()
    return table.matrix()[:40].tolist()


@pytest.fixture(scope="session")
def workplace(published: Path, tmp_path_factory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(published, folder / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=folder / "redis"))
        yield Workplace(folder / "home", server, ends)


@pytest.fixture(scope="session")
def worker(workplace: Workplace) -> Process:
    return workplace.worker("--include", "stock.tasks")


@pytest.fixture(scope="session")
def app(workplace: Workplace) -> Celery:
    url = workplace.settings.broker_url
    return Celery("stock", broker=url, backend=url, set_as_current=False)


@pytest.fixture(scope="session")
def caller(app: Celery, worker: Process, rows: list[list[float]]) -> Caller:
    return Caller(app, rows)


@pytest.fixture(scope="session")
def expected(workplace: Workplace, rows: list[list[float]]) -> list[int]:
    """What the model says of the rows in this process."""
    version = workplace.store.champion(MODEL)
    return workplace.expected(str(version), rows, "predict").tolist()


@pytest.fixture(scope="session")
def listener(app: Celery, worker: Process) -> Iterator[Listener]:
    """Hears every event from before the first request on."""
    with Listener(app) as listener:
        eventually(lambda: listener.heartbeats(worker.name), "a heartbeat")
        yield listener


@pytest.fixture
def held_lane(app: Celery, worker: Process, workplace: Workplace):
    """Keeps requests waiting in the lane as long as the context is open."""

    @contextmanager
    def held() -> Iterator[None]:
        app.control.cancel_consumer(LANE, destination=[worker.name], reply=True)
        eventually(lambda: LANE not in workplace.queues(worker), "the lane's end")
        try:
            yield
        finally:
            app.control.add_consumer(LANE, destination=[worker.name], reply=True)
            eventually(lambda: LANE in workplace.queues(worker), "the lane's return")

    return held
