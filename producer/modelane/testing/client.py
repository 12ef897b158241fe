"""The fake client: the real client, with lanes in this process instead of Redis and a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelane.client import client
from modelane.client.transport.backlog import Outgoing
from modelane.client.transport.session import Session
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
from modelane.testing.fake_redis import MemoryLink

#: Errors that a client raises by itself; all others are answers of a worker, and take their way.
_CLIENT_ERRORS = (QueueFull, BrokerUnavailable, BrokerRefused, TimedOut, ClientClosed)


class Client(client.Client):
    """A :class:`modelane.Client` whose models answer in this process.

    Args:
        models: estimators or callables by the name of their model; or lanes that several clients share.
        settings: such as ``Settings(max_depth=10)``; the environment is not read.
        timeout_s: default timeout of a request, in seconds.

    Attributes:
        lanes: the other side, a :class:`modelane.testing.Lanes`: makes requests fail or wait, and publishes
            models.
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
        """Close the client, and its lanes if it created them."""
        super().close(timeout_s)
        if self._owns_lanes:
            self.lanes.close()

    def _connect(self) -> Session:
        return _FakeSession(self._settings, self.lanes)


class _FakeSession(Session):
    """A session that fails requests as :meth:`modelane.testing.Lanes.fail` has asked for."""

    def __init__(self, settings: Settings, lanes: Lanes) -> None:
        self._lanes = lanes
        super().__init__(settings, lambda _, channel: MemoryLink(lanes.memory, channel))

    def put(self, outgoing: Outgoing) -> None:
        error = self._lanes._next_failure(outgoing.queue)
        if type(error) is TryLater:  # as when too many requests wait to be sent
            raise error
        if isinstance(error, _CLIENT_ERRORS):
            outgoing.prediction.fail(error)
            return
        if error is not None:
            self._lanes._fail_request(outgoing.prediction.id, error)
        super().put(outgoing)
