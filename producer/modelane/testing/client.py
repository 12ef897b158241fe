"""The fake client: the real one, wired to lanes in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelane.broker.leased_queue import IdempotencyKey
from modelane.client import client
from modelane.client.prediction import Prediction
from modelane.client.session import Wires
from modelane.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ClientClosed,
    QueueFull,
    TimedOut,
    TryLater,
)
from modelane.settings import Settings
from modelane.testing.fake_lanes import Lanes
from modelane.testing.fake_redis import MemoryQueue, MemoryReplies, MemoryRequestControl, MemoryUnserved

#: What a client says by itself; everything else is a worker's answer, and takes its way.
_CLIENTS_OWN = (QueueFull, BrokerUnavailable, BrokerRefused, TimedOut, ClientClosed)


class Client(client.Client):
    """A :class:`modelane.Client` whose models answer in this process.

    Args:
        models: estimators or callables by the model's name; or lanes that several clients share.
        settings: such as ``Settings(max_depth=10)``; the environment is not read.
        timeout_s: how long a request may take, unless it says otherwise.

    Attributes:
        lanes: the other side: told to fail, to be slow, to hold back; given new versions.
    """

    def __init__(
        self,
        models: Mapping[str, Any] | Lanes | None = None,
        *,
        settings: Settings | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        super().__init__(settings=settings or Settings(), timeout_s=timeout_s)
        self._owns_lanes = not isinstance(models, Lanes)
        self.lanes = models if isinstance(models, Lanes) else Lanes(models, settings=settings)

    def close(self, timeout_s: float = 5.0) -> None:
        super().close(timeout_s)
        if self._owns_lanes:
            self.lanes.close()

    def _connect(self) -> Wires:
        return _Wires(self._settings, self.lanes)


class _Wires(Wires):
    """A client's wires, in which memory takes the place of Redis."""

    def __init__(self, settings: Settings, lanes: Lanes) -> None:
        self._lanes = lanes
        super().__init__(settings)

    def send(
        self,
        prediction: Prediction[Any],
        queue: str,
        priority: int,
        message: bytes,
        idempotency_key: IdempotencyKey | None = None,
    ) -> None:
        error = self._lanes.told_to_fail(queue)
        if type(error) is TryLater:  # as when too much waits to be sent
            raise error
        if isinstance(error, _CLIENTS_OWN):
            prediction.end(error=error)
            return
        if error is not None:
            self._lanes.doom(prediction.id, error)
        super().send(prediction, queue, priority, message, idempotency_key)

    def _connect(self, settings: Settings) -> None:
        memory = self._lanes.memory
        self._requests = MemoryRequestControl(memory)
        self._replies = MemoryReplies(memory, self.channel, deliver=self._deliver, pending=self._look_over)
        self._unserved = MemoryUnserved(memory)

    def _disconnect(self) -> None:
        pass

    def _queue(self, name: str) -> MemoryQueue:
        return MemoryQueue(self._lanes.memory, name)
