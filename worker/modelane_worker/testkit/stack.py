"""A real stack for tests: Redis, and a worker on a store of its own, both gone at the end.

    with Stack() as stack:
        stack.publish("churn", estimator, example_rows)
        stack.client().predict("churn", rows)

pytest has it as the fixture ``modelane_stack`` (:mod:`modelane_worker.pytest_plugin`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from modelane.client import Client
from modelane.errors import StackError
from modelane.local.die_with_parent import die_with_parent
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from modelane_worker.registry import artifact, notify
from modelane_worker.registry.signing import SigningKey
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version
from modelane_worker.testkit import example_card

#: Seconds until a worker on a busy machine has started, has loaded a model, or has ended.
DEADLINE_S = 60.0

_POLL_S = 0.02
_NODE = "worker@modelane-test"
_WORKER = ("-A", "modelane_worker", "worker", "-n", _NODE, "--loglevel=INFO")


class Stack:
    """A Redis server, a worker, and a store that starts empty.

    Args:
        settings: of its programs, as in ``MODELANE_*`` but small and without the prefix, such as
            ``max_depth=10``.

    Attributes:
        settings: of all its programs.
    """

    def __init__(self, **settings: Any) -> None:
        self._chosen = {"store_poll_s": 0.2} | settings
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with self._ends as ends:
            home = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="modelane-test-")))
            server = ends.enter_context(RedisServer())
            self.settings = Settings(home=str(home), broker_url=server.url, **self._chosen)
            self._key = SigningKey.create(self.settings.signing_key_path, self.settings.trusted_keys_path)
            self._log = home / "worker.log"
            self._worker = self._start()
            ends.callback(self._stop)
            self._until(lambda: f"{_NODE} ready." in self.log, "the worker does not start")
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def url(self) -> str:
        """Of its Redis."""
        return self.settings.broker_url

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads a program to it: ``MODELANE_BROKER_URL`` and the others."""
        return self.settings.to_env()

    @property
    def log(self) -> str:
        """What the worker has said."""
        return self._log.read_text(errors="replace")

    def client(self, *, timeout_s: float = 30.0) -> Client:
        """Another client; closed with the stack, if not before."""
        return self._ends.enter_context(Client(settings=self.settings, timeout_s=timeout_s))

    def publish(self, model: str, estimator: Any, example_rows: Any) -> str:
        """Put a fitted estimator into service; returns its version when the worker answers with it.

        Args:
            model: a name; one that is in service already gets another version.
            estimator: anything that joblib can save, and the worker can load: its classes stand in modules
                that can be imported from ``sys.path``.
            example_rows: one or more rows as callers send them; they tell names and kinds of the columns.

        Raises:
            BadInput: the rows are not as the estimator takes them.
            StackError: the worker refuses the model; with its reason.
        """
        version = new_version(datetime.now(UTC), os.urandom(4))
        table = example_card.table_of(example_rows, estimator)
        card = example_card.card(model, estimator, table, version=version, libraries=artifact.libraries())
        store = Store(self.settings.store_path)
        said_before = len(self.log)
        store.publish(card, {artifact.MODEL_FILE: artifact.dump(estimator)}, self._key)
        store.promote(model, version)
        notify.ring(self.settings, model)
        self._until(lambda: self._serves(model, version, said_before), f"{model} is not in service")
        return version

    def _serves(self, model: str, version: str, said_before: int) -> bool:
        said = self.log[said_before:]
        if refused := re.search(rf"{model}: a version is refused, .*", said):
            raise StackError(f"the worker refuses the model: {refused[0]}")
        return f"{model} {version} is in service" in said

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, sys.path))  # the worker finds the modules that this process finds
        with self._log.open("ab") as log:
            return subprocess.Popen(
                die_with_parent([sys.executable, "-m", "celery", *_WORKER]),
                env={**os.environ, **self.env, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                cwd=self.settings.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C in the terminal reaches this process alone, which then ends it
            )

    def _stop(self) -> None:
        self._worker.terminate()
        try:
            self._worker.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()

    def _until(self, happens: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + DEADLINE_S
        while not happens():
            if self._worker.poll() is not None or time.monotonic() > give_up_at:
                last = "".join(f"\n  {line}" for line in self.log.splitlines()[-15:])
                raise StackError(f"{what}; the worker said:{last}")
            time.sleep(_POLL_S)
