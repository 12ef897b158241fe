"""A real Redis and a real worker for tests; public as :class:`modelane_worker.testing.Stack`.

pytest offers it as the fixture ``modelane_stack``; see :mod:`modelane_worker.pytest_plugin`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import redis

from modelane.broker.connection import connect
from modelane.broker.served_models import served_models
from modelane.client import Client
from modelane.errors import StackError
from modelane.local.logged_process import LoggedProcess
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_worker.registry import artifact, notify
from modelane_worker.registry.signing import SigningKey
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version
from modelane_worker.testkit import example_card

#: Seconds that a worker on a busy machine may take to start, to load a model, or to stop.
DEADLINE_S = 60.0

_NODE = "worker@modelane-test"
_WORKER = ("-A", "modelane_worker", "worker", "-n", _NODE, "--loglevel=INFO")


class Stack:
    """A Redis server and a worker with an empty model store, as a context manager.

    Use it in one thread: both programs end when the thread that entered the context ends.

    Args:
        settings: settings of the worker and the clients, named as ``MODELANE_*`` variables but in lower case
            and without the prefix, such as ``max_depth=10``.

    Attributes:
        settings: the complete settings; available inside the context.

    Example:
        >>> with Stack() as stack:
        ...     stack.publish("churn", estimator, example_rows)
        ...     stack.client().predict("churn", rows)
    """

    def __init__(self, **settings: Any) -> None:
        self._chosen = {"store_poll_s": 0.2} | settings
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Start Redis and the worker; return when the worker is ready.

        Raises:
            StackError: Redis or the worker cannot be started.
        """
        with ExitStack() as cleanup:
            home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="modelane-test-")))
            server = cleanup.enter_context(RedisServer())
            self.settings = Settings(home=str(home), broker_url=server.url, **self._chosen)
            self._key = SigningKey.create(self.settings.signing_key_path, self.settings.trusted_keys_path)
            self._redis: redis.Redis = cleanup.enter_context(connect(self.settings))
            self._worker = self._start_worker(home)
            cleanup.callback(self._worker.stop, DEADLINE_S)
            self._worker.wait_until(
                lambda: f"{_NODE} ready." in self.log, what="start", deadline_s=DEADLINE_S
            )
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def url(self) -> str:
        """URL of the Redis server."""
        return self.settings.broker_url

    @property
    def env(self) -> dict[str, str]:
        """Environment variables with which other programs use this stack, such as ``MODELANE_BROKER_URL``."""
        return self.settings.to_env()

    @property
    def log(self) -> str:
        """The worker's log so far."""
        return self._worker.output

    def client(self, *, timeout_s: float = 30.0) -> Client:
        """Return a new client. The stack closes it at the end, unless the caller has closed it.

        Args:
            timeout_s: default timeout of its requests, in seconds.
        """
        return self._cleanup.enter_context(Client(settings=self.settings, timeout_s=timeout_s))

    def publish(self, model: str, estimator: Any, example_rows: Any) -> str:
        """Put a fitted estimator into service; return its version when the worker answers with it.

        Args:
            model: name of the model. A model that is already in service gets another version.
            estimator: an estimator that joblib can save and the worker can load. Its own classes must be in
                modules that can be imported from ``sys.path``.
            example_rows: one or more rows as callers send them; they define the names and kinds of the
                columns.

        Raises:
            BadInput: the estimator does not accept such rows.
            StackError: the worker refused the model.
        """
        version = new_version(datetime.now(UTC), os.urandom(4))
        table = example_card.table_of(example_rows, estimator)
        card = example_card.card(model, estimator, table, version=version, libraries=artifact.libraries())
        store = Store(self.settings.store_path)
        log_start = len(self.log)
        store.publish(card, {artifact.MODEL_FILE: artifact.dump(estimator)}, self._key)
        store.promote(model, version)
        notify.notify_workers(self.settings, model)
        self._worker.wait_until(
            lambda: self._serves(model, version, log_start),
            what=f"load {model} {version}",
            deadline_s=DEADLINE_S,
        )
        return version

    def _serves(self, model: str, version: str, log_start: int) -> bool:
        if refused := re.search(rf"{model}: .*\brefused\b.*", self.log[log_start:]):
            raise StackError(f"the worker refuses the model: {refused[0]}")
        served = served_models(self._redis, self.settings.prefix)
        return any((one.model, one.version) == (model, version) for one in served)

    def _start_worker(self, home: Path) -> LoggedProcess:
        path = os.pathsep.join(filter(None, sys.path))  # the worker imports the same modules as this process
        return LoggedProcess(
            "the worker",
            [sys.executable, "-m", "celery", *_WORKER],
            home / "worker.log",
            env={**os.environ, **self.env, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            cwd=home,
        )
