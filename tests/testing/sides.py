"""The two implementations under test: lanes in this process, and lanes on Redis with a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, Protocol

import msgspec
import numpy as np

from modelane import Client, Settings, app, testing
from modelane.keys import predict_queue
from modelane_worker.testing import Stack
from support.waiting import eventually
from testing.models import Customers, Labels, Short, Sums

ABC = [{"a": 1.0, "b": 2.0, "c": 3.0}]
#: Model, estimator, example rows.
MODELS = [
    ("sums", Sums(), ABC),
    ("short", Short(), np.zeros((2, 2))),
    ("labels", Labels(), [[1.0, 2.0]]),
    ("customers", Customers(), [{"city": "Bern", "since": datetime(2020, 5, 1), "age": 41}]),
]


class Side(Protocol):
    """What a contract test uses of an implementation."""

    def client(self, timeout_s: float = 30.0, **settings: Any) -> Client: ...

    def publish(self, model: str, estimator: Any, example_rows: Any) -> str: ...

    def held(self, model: str) -> Any: ...

    def until_revoked(self, id_: str) -> None: ...


class Fake:
    def __init__(self, ends: ExitStack) -> None:
        self._ends = ends
        self._lanes = ends.enter_context(testing.Lanes())
        self.publish = self._lanes.publish

    def client(self, timeout_s: float = 30.0, **settings: Any) -> Client:
        client = testing.Client(self._lanes, settings=Settings(**settings), timeout_s=timeout_s)
        return self._ends.enter_context(client)

    @contextmanager
    def held(self, model: str) -> Iterator[None]:
        with self._lanes.held():
            yield

    def until_revoked(self, id_: str) -> None:
        eventually(lambda: id_ in self._lanes.memory.revoked, "the revocation")


class Real:
    def __init__(self, ends: ExitStack, stack: Stack) -> None:
        self._ends = ends
        self._stack = stack
        self._control = app.build(stack.settings).control
        self.publish = stack.publish

    def client(self, timeout_s: float = 30.0, **settings: Any) -> Client:
        chosen = msgspec.structs.replace(self._stack.settings, **settings)
        client = Client(settings=chosen, timeout_s=timeout_s)
        self._ends.callback(client.close, timeout_s=0.5)
        return client

    @contextmanager
    def held(self, model: str) -> Iterator[None]:
        queue = predict_queue(model)
        self._control.cancel_consumer(queue, reply=True, timeout=10.0, limit=1)
        eventually(lambda: queue not in self._open(), "the lane's end")
        try:
            yield
        finally:
            self._control.add_consumer(queue, reply=True, timeout=10.0, limit=1)

    def until_revoked(self, id_: str) -> None:
        eventually(lambda: id_ in self._ask("revoked"), "the revocation")

    def _open(self) -> set[str]:
        return {queue["name"] for queue in self._ask("active_queues")}

    def _ask(self, question: str) -> Any:
        (answer,) = getattr(self._control.inspect(timeout=10.0, limit=1), question)().values()
        return answer
