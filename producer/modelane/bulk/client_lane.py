"""The lane as a run sees it: batches in, outcomes out.  run → LANE → client.

Answers that have arrived are taken out of Redis: those of a large file would fill it, each being kept for
``MODELANE_RESULT_TTL_S``.
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

#: Answers that are taken out of Redis together.
FORGET_AT_ONCE = 64


class ClientLane:
    """See :class:`modelane.bulk.scorer.Lane`.

    Args:
        client: asks.
        server: where answers are kept.
        prefix: before every key.
        model: that is asked.
        timeout_s: how long an answer may take; a full lane and an absent Redis are waited for as long.
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
        yield from in_order(
            self._submit, batches, window=window, return_errors=True, patience_s=self._timeout_s
        )
        self._forget()

    def trouble(self) -> str:
        """Why no answer comes, as far as can be seen from here."""
        try:
            with broker_errors():
                self._redis.ping()
        except (BrokerUnavailable, BrokerRefused) as exc:
            return str(exc)
        return f"no answer yet; is a worker serving {self._model}, and busy?"

    def _submit(self, rows: Any) -> Prediction[Answer]:
        if len(self._answered) >= FORGET_AT_ONCE:
            self._forget()
        prediction = self._client.submit(self._model, rows, **self._options)
        prediction.add_done_callback(self._note)
        return prediction

    def _note(self, ended: Future[Answer]) -> None:
        assert isinstance(ended, Prediction)
        self._answered.append(ended.id)

    def _forget(self) -> None:
        answered, self._answered = self._answered, []
        keys = [f"{self._prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in answered]
        with suppress(BrokerUnavailable, BrokerRefused), broker_errors():  # then they are forgotten later
            if keys:
                self._redis.unlink(*keys)
