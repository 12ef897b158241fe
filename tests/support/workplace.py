"""A real environment for a test: a Redis, a store with a trained model, worker and trainer processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from modelane import app as modelane_app
from modelane.client import Client
from modelane.keys import predict_queue
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_training.pipeline import local_run, run
from modelane_training.recipe_loader import recipe_of
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store
from support import churn
from support.processes import Process
from support.waiting import DEADLINE_S, eventually

MODEL = "breast-cancer"
LANE = predict_queue(MODEL)

#: Memory limit of a retraining of the shared trainer.
LIMIT_MB = 1000

#: Subfolder of a home for versions that are trained and signed but not in its store yet.
SPARE = "spare"


def train(settings: Settings, model: str = MODEL, recipes: str | Path = "no recipes") -> str:
    """Train, publish and promote a version in this process, without its report; return the version."""
    with patch.object(run, "run", partial(run.run, report=False)):
        return local_run.train(settings, recipe_of(model, Path(recipes)), lambda *_: None).version


def prepare_home(home: Path) -> None:
    """Make a home with keys, a champion of the model, and two spare versions; tests work on copies."""
    # There is no Redis: a notification that nobody receives must not fail a training.
    settings = Settings(home=str(home), broker_url="redis://127.0.0.1:1/0")
    train(settings)
    other = home.with_name(f"{home.name} elsewhere")  # so that the alias never moves here
    shutil.copytree(home, other)
    for number in range(2):
        spare = train(msgspec.structs.replace(settings, home=str(other)))
        shutil.copytree(other / "models" / MODEL / spare, home / SPARE / str(number) / spare)


@cache
def breast_cancer_rows() -> np.ndarray:
    return recipe_of(MODEL, Path("no recipes")).collect().matrix()


class Workplace:
    """A Redis and a home folder, and the programs that a test starts with them."""

    def __init__(self, home: Path, server: RedisServer, ends: ExitStack, **settings: object) -> None:
        self.home = home
        self.server = server
        self.settings = Settings(
            home=str(home), broker_url=server.url, **{"lease_s": 2.0, "store_poll_s": 0.2} | settings
        )
        self.store = Store(self.settings.store_path)
        self.redis = ends.enter_context(redis.Redis.from_url(server.url))
        self.celery: Celery = modelane_app.build(self.settings)
        self._ends = ends
        self._number = 0

    def worker(self, *args: str, ready: bool = True, **settings: object) -> Process:
        """Start a worker; with ``ready``, return when it has opened the model's lane."""
        process = self._start("modelane_worker", settings, *args)
        if ready:
            eventually(lambda: LANE in self.queues(process), f"the lane of {process.name}")
        return process

    def trainer(self) -> Process:
        process = self._start("modelane_training", {})
        eventually(lambda: self.queues(process), "the trainer")
        return process

    def queues(self, process: Process) -> set[str]:
        """Return the queues that a worker process consumes; empty if it does not reply."""
        assert process.runs, process.said
        if " ready." not in process.said:
            return set()
        inspect = self.celery.control.inspect(destination=[process.name], timeout=1.0)
        try:
            answers = inspect.active_queues() or {}
        except (OperationalError, redis.ConnectionError):
            return set()
        return {queue["name"] for queues in answers.values() for queue in queues}

    @contextmanager
    def held(self, worker: Process, queue: str = LANE) -> Iterator[None]:
        """Keep requests waiting: the worker does not consume the lane while the context is open."""
        self.celery.control.cancel_consumer(queue, destination=[worker.name], reply=True)
        eventually(lambda: queue not in self.queues(worker), "the lane's end")
        try:
            yield
        finally:
            self.celery.control.add_consumer(queue, destination=[worker.name], reply=True)
            eventually(lambda: queue in self.queues(worker), "the lane's return")

    def client(self, **options: object) -> Client:
        return self._ends.enter_context(Client(settings=self.settings, **{"timeout_s": DEADLINE_S} | options))

    def bring_spare(self, number: int = 0) -> str:
        """Move another trained version into the store without promoting it; return the version."""
        (spare,) = (self.home / SPARE / str(number)).iterdir()
        if not (target := self.store.root / MODEL / spare.name).exists():
            shutil.copytree(spare, target)
        return spare.name

    def promote(self, version: str) -> str:
        self.store.promote(MODEL, version)
        return version

    def columns(self) -> list[str]:
        """Return the names of the model's columns, in their order."""
        champion = str(self.store.champion(MODEL))
        trusted = TrustedKeys.load(self.settings.trusted_keys_path)
        return [feature.name for feature in self.store.read(MODEL, champion, trusted).card.features]

    def expected(self, version: str, rows: np.ndarray, method: str = "predict_proba") -> np.ndarray:
        """Return what a version answers in this process."""
        return getattr(self.model(version), method)(rows)

    def model(self, version: str) -> Any:
        """Return the estimator of a version."""
        trusted = TrustedKeys.load(self.settings.trusted_keys_path)
        return artifact.load(self.store.read(MODEL, version, trusted))

    def _start(self, package: str, settings: dict[str, object], *args: str) -> Process:
        self._number += 1
        name = f"w{self._number}@test"
        env = msgspec.structs.replace(self.settings, **settings).to_env()
        process = Process(package, name, env, self.home / f"{name}.log", "--loglevel=INFO", *args)
        self._ends.callback(process.kill)
        return process


class SharedStack(Workplace):
    """One Redis, worker and trainer for all tests of a process; a test leaves it as it found it.

    The worker serves breast-cancer and churn. A test that ends a worker starts one of its own beside the
    shared one, and holds the shared one's lane.
    """

    def __init__(self, home: Path, server: RedisServer, ends: ExitStack) -> None:
        (home / "recipes").mkdir()
        churn.publish(Settings(home=str(home)))
        super().__init__(home, server, ends, recipes=str(home / "recipes"), retrain_limit_mb=LIMIT_MB)
        self.champion = str(self.store.champion(MODEL))
        self._serving: Process | None = None
        self._training: Process | None = None

    @property
    def recipes(self) -> Path:
        return Path(self.settings.recipes)

    @property
    def serving(self) -> Process:
        """The shared worker; another one when it has ended."""
        if self._serving is None or not self._serving.runs:
            self._serving = self.worker("--include", "stock.tasks")
        return self._serving

    @property
    def training(self) -> Process:
        """The shared trainer; another one when it has ended."""
        if self._training is None or not self._training.runs:
            self._training = self.trainer()
        return self._training

    def restore(self) -> None:
        """Put the champion back that was in service before a test."""
        if self.store.champion(MODEL) == self.champion:
            return
        self.store.promote(MODEL, self.champion)
        row = breast_cancer_rows()[:1]
        with Client(settings=self.settings, timeout_s=DEADLINE_S) as client:
            eventually(lambda: client.predict(MODEL, row).version == self.champion, "the champion as before")
