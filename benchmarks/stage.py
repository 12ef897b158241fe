"""A Redis server and Celery workers as processes on the loopback interface; they end with the stage."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil
import redis
from celery import Celery

from benchmarks import models
from modelane.local.health import workers_answer
from modelane.local.logged_process import LoggedProcess
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings

ROOT = Path(__file__).parent.parent

#: Seconds that a worker may take to start on a busy machine, and to stop.
START_LIMIT_S = 120.0
STOP_LIMIT_S = 20.0


class Stage:
    """A data folder with published models, a Redis server, and the workers that a measurement starts.

    Args:
        persistent: Whether Redis writes an append-only file, as with `modelane up`.
        estimators: Name of the model to estimator.
    """

    def __init__(self, *, persistent: bool = True, **estimators: object) -> None:
        self._persistent = persistent
        self._estimators = estimators
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self.folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="modelane-bench-")))
            self.redis = ends.enter_context(
                RedisServer(folder=self.folder / "redis" if self._persistent else None)
            )
            self.settings = Settings(broker_url=self.redis.url, home=str(self.folder))
            models.publish(self.settings, **self._estimators)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def environ(self, **further: str) -> dict[str, str]:
        """Return the environment of a program that uses this stage."""
        return {**os.environ, **self.settings.to_env(), **further}

    def redis_client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)

    @contextmanager
    def worker(
        self, app: str, *options: str, node: str = "worker", **environ: str
    ) -> Iterator[psutil.Process]:
        """Start a Celery worker and wait until it answers; yield its main process.

        Args:
            app: The argument of ``celery -A``.
            options: Options of ``celery worker``.
            node: The worker's name, unique on this stage.
            environ: Further environment variables.
        """
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-n", f"{node}@bench", *options]
        env, log = self.environ(**environ), self.folder / f"{node}.log"
        process = LoggedProcess(node, command, log, env=env, cwd=ROOT)
        try:
            with Celery(broker=self.redis.url) as celery:
                process.wait_until(
                    lambda: workers_answer(celery, [f"{node}@bench"]), what="start", deadline_s=START_LIMIT_S
                )
            yield psutil.Process(process.pid)
        finally:
            process.stop(STOP_LIMIT_S)
