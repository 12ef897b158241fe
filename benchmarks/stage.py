"""A Redis server and Celery workers, as processes of their own on loopback; all end with the stage."""

from __future__ import annotations

import os
import signal
import subprocess
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
from modelane.local.die_with_parent import die_with_parent
from modelane.local.health import workers_answer
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings

ROOT = Path(__file__).parent.parent

#: Seconds that a worker may take to start on a busy machine, and to end.
START_LIMIT_S = 120.0
STOP_LIMIT_S = 20.0


class Stage:
    """A data folder with published models, a Redis server, and the workers that a figure asks for.

    Args:
        persistent: whether Redis keeps its append-only file, as `modelane up` has it.
        estimators: by the name of the model that they serve as.
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
        """Of a program on this stage."""
        return {**os.environ, **self.settings.to_env(), **further}

    def redis_client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)

    @contextmanager
    def worker(
        self, app: str, *options: str, node: str = "worker", **environ: str
    ) -> Iterator[psutil.Process]:
        """A Celery worker that answers; the process is its main one.

        Args:
            app: what stands behind ``celery -A``.
            options: of ``celery worker``.
            node: its name, unique on this stage.
            environ: further environment.
        """
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-n", f"{node}@bench", *options]
        env = self.environ(**environ)
        with (self.folder / f"{node}.log").open("wb") as log:
            process = subprocess.Popen(die_with_parent(command), cwd=ROOT, env=env, stdout=log, stderr=log)
            try:
                self._until_it_answers(process, node)
                yield psutil.Process(process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_LIMIT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _until_it_answers(self, process: subprocess.Popen[bytes], node: str) -> None:
        with Celery(broker=self.redis.url) as app:
            for _ in range(int(START_LIMIT_S)):  # each ping waits a second for its answer
                if process.poll() is None and workers_answer(app, [f"{node}@bench"]):
                    return
        said = (self.folder / f"{node}.log").read_text(errors="replace")
        raise RuntimeError(f"{node} did not start:\n{said[-2000:]}")
