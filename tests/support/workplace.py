"""A real stack for each test: its own Redis, its own store with a trained model, real worker processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from modelane import app as modelane_app
from modelane.client import Client
from modelane.keys import predict_queue
from modelane.local.logged_process import LoggedProcess
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_training.pipeline import local_run as trainer
from modelane_training.recipe_loader import recipe_of
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store
from support.waiting import DEADLINE_S, eventually

MODEL = "breast-cancer"


class Process(LoggedProcess):
    """A Celery program of ours; its log is shown when it fails."""

    def __init__(self, package: str, name: str, env: dict[str, str], log: Path, *args: str) -> None:
        command = [sys.executable, "-m", "celery", "-A", package, "worker", "-n", name, *args]
        super().__init__(name, command, log, env=os.environ | env)

    @property
    def said(self) -> str:
        return self.output

    @property
    def runs(self) -> bool:
        return self.is_running

    def send(self, how: signal.Signals) -> None:
        self.send_signal(how)

    def end(self) -> int:
        """Stop it warmly; return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code when it has exited by itself."""
        return self._process.wait(DEADLINE_S)


class Workplace:
    """One test's surroundings."""

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
        process = self._start("modelane_worker", settings, *args)
        if ready:
            queue = predict_queue(MODEL)
            eventually(lambda: queue in self.queues(process), f"the lane of {process.name}")
        return process

    def trainer(self) -> Process:
        process = self._start("modelane_training", {})
        eventually(lambda: self.queues(process), "the trainer")
        return process

    def queues(self, process: Process) -> set[str]:
        """What the process's worker says it consumes; nothing, when the question is lost on its way."""
        assert process.runs, process.said
        inspect = self.celery.control.inspect(destination=[process.name], timeout=1.0)
        try:
            answers = inspect.active_queues() or {}
        except (OperationalError, redis.ConnectionError):
            return set()
        return {queue["name"] for queues in answers.values() for queue in queues}

    def client(self, **options: object) -> Client:
        return self._ends.enter_context(Client(settings=self.settings, **{"timeout_s": DEADLINE_S} | options))

    def retrain_here(self) -> str:
        """Train, publish and promote another version; its id."""
        recipe = recipe_of(MODEL, Path("no recipes"))
        return trainer.train(self.settings, recipe, lambda step, detail: None).version

    def retrain_elsewhere(self) -> str:
        """Bring in another version, its alias not moved, not even for a moment; the version's id."""
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder, "home")
            shutil.copytree(self.home, other, ignore=shutil.ignore_patterns("*.log"))
            settings = msgspec.structs.replace(self.settings, home=str(other))
            recipe = recipe_of(MODEL, Path("no recipes"))
            version = trainer.train(settings, recipe, lambda step, detail: None).version
            shutil.copytree(other / "models" / MODEL / version, self.store.root / MODEL / version)
        return version

    def columns(self) -> list[str]:
        """Names of the model's columns, in their order."""
        champion = str(self.store.champion(MODEL))
        trusted = TrustedKeys.load(self.settings.trusted_keys_path)
        return [feature.name for feature in self.store.read(MODEL, champion, trusted).card.features]

    def expected(self, version: str, rows: np.ndarray, method: str = "predict_proba") -> np.ndarray:
        """What a version says in this process."""
        trusted = TrustedKeys.load(self.settings.trusted_keys_path)
        return getattr(artifact.load(self.store.read(MODEL, version, trusted)), method)(rows)

    def _start(self, package: str, settings: dict[str, object], *args: str) -> Process:
        self._number += 1
        name = f"w{self._number}@test"
        env = msgspec.structs.replace(self.settings, **settings).to_env()
        process = Process(package, name, env, self.home / f"{name}.log", "--loglevel=INFO", *args)
        self._ends.callback(process.kill)
        return process
