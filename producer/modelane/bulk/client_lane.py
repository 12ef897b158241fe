"""Send batches through a client and return their outcomes in order.

Results are deleted from Redis after they have arrived. Otherwise the results of a large file would fill
Redis, because it keeps each of them for ``MODELANE_RESULT_TTL_S``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import redis

from modelane.broker.connection import broker_errors
from modelane.client import Client
from modelane.client.answer import Answer
from modelane.client.options import Options
from modelane.client.prediction import Prediction
from modelane.client.window import Outcome, in_order
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import RESULT_KEY_PREFIX

#: Results that are deleted together.
DELETE_TOGETHER = 64


class ClientLane:
    """A model's lane as one job uses it.

    Args:
        client: sends the requests.
        server: connection to the Redis that stores the results.
        prefix: prefix of all keys.
        model: name of the model.
        timeout_s: seconds that an answer may take; also how long to wait for room in the lane and for Redis.
        options: of each request.
    """

    def __init__(  # noqa: PLR0913  its collaborators
        self,
        client: Client,
        server: redis.Redis,
        prefix: str,
        model: str,
        *,
        timeout_s: float,
        options: Options,
    ) -> None:
        self._client = client
        self._redis = server
        self._prefix = prefix
        self._model = model
        self._timeout_s = timeout_s
        self._options: Options = {**options, "timeout_s": timeout_s}
        self._answered: list[str] = []

    def answers(self, batches: Iterable[Any], window: int) -> Iterator[Outcome]:
        """Return one outcome per batch, in order.

        Args:
            batches: rows as the client accepts them; read only as far as the window reaches.
            window: requests in flight.
        """
        yield from in_order(
            self._submit, batches, window=window, return_errors=True, patience_s=self._timeout_s
        )
        self._delete_results()

    def trouble(self) -> str:
        """Return why no answer arrives, as far as this client can tell."""
        try:
            with broker_errors():
                self._redis.ping()
        except (BrokerUnavailable, BrokerRefused) as exc:
            return str(exc)
        return f"no answer from {self._model}; check that a worker serves it and is not overloaded"

    def _submit(self, rows: Any) -> Prediction[Answer]:
        if len(self._answered) >= DELETE_TOGETHER:
            self._delete_results()
        prediction = self._client.submit(self._model, rows, **self._options)
        prediction.add_done_callback(self._remember)
        return prediction

    def _remember(self, done: Future[Answer]) -> None:
        assert isinstance(done, Prediction)
        self._answered.append(done.id)

    def _delete_results(self) -> None:
        answered, self._answered = self._answered, []
        keys = [f"{self._prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in answered]
        with suppress(BrokerUnavailable, BrokerRefused), broker_errors():  # if this fails, they expire
            if keys:
                self._redis.unlink(*keys)
