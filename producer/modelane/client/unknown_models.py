"""Requests that wait for long: whether anybody knows their model, and serves it.

A name that was mistyped waits in a lane that nobody drains.  When workers are there, and the name was never
published or announced, its requests are taken back and their callers told, but for those that a worker has
begun with.  So a model that was published a moment ago is never refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script
from modelane.client.prediction import Prediction
from modelane.errors import UnknownModel
from modelane.keys import RESULT_KEY_PREFIX, SERVED_KEY, SERVED_KEY_PREFIX, QueueKeys, lane_of

#: Seconds that a request waits before anybody asks: longer than a worker takes to hear of a new model, even
#: if it has to look by itself (``store_poll_s``).
ASK_AFTER_S = 3.0
#: Requests of one lane that are taken back at once.
AT_ONCE = 500


class Found(NamedTuple):
    """What there is to say about a model; nobody knows it only if somebody is there to know."""

    is_known: bool
    is_served: bool
    taken_back: frozenset[str]  #: ids of requests that lie in its lane no more
    names: list[str]  #: that are served


class Unserved:
    """Of one client; for one thread.

    Args:
        client: a connection to Redis.
        prefix: of every key.
        clock: seconds, as of the predictions.
    """

    def __init__(self, client: redis.Redis, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._prefix = prefix
        self._clock = clock
        self._withdraw = Script(client, "withdraw")

    def look(self, pending: Iterable[Prediction[Any]]) -> None:
        """End those whose model is unknown; have the others say so if nobody serves it when they end.

        Raises:
            BrokerUnavailable: nothing was found out.
            BrokerRefused: an operator must act.
        """
        before_s = self._clock() - ASK_AFTER_S
        waiting: dict[str, list[Prediction[Any]]] = {}
        for prediction in pending:
            if prediction.queue and prediction.sent and prediction.began_s < before_s:
                waiting.setdefault(prediction.queue, []).append(prediction)
        for queue, predictions in waiting.items():
            if (model := lane_of(queue)) is not None:
                self._ask(model, queue, predictions[:AT_ONCE])

    def _ask(self, model: str, queue: str, predictions: list[Prediction[Any]]) -> None:
        found = self.find(model, queue, [prediction.id for prediction in predictions])
        if not found.is_known:
            for prediction in predictions:
                if prediction.id in found.taken_back:
                    prediction.end(error=unknown(model, found.names))
        elif not found.is_served:
            late = f"no answer came in time; no worker serves {model} now: {_others(found.names)}"
            for prediction in predictions:
                prediction.late = late

    def find(self, model: str, queue: str, ids: Sequence[str]) -> Found:
        """What is known of a model; if nobody knows it, its requests are taken out of its lane."""
        lists = QueueKeys(queue, self._prefix).priorities
        before_id = self._prefix + RESULT_KEY_PREFIX
        with broker_errors():
            is_known, n, *said = self._withdraw(
                keys=(*lists, self._prefix + SERVED_KEY),
                args=(model, self._prefix + SERVED_KEY_PREFIX, before_id, *ids),
            )
        words = [word.decode() for word in said]
        if is_known:
            return Found(True, bool(n), frozenset(), sorted(words))
        return Found(False, False, frozenset(words[:n]), sorted(words[n:]))


def unknown(model: str, names: Sequence[str]) -> UnknownModel:
    """The error of a request for a model that nobody knows, where ``names`` are served."""
    near = get_close_matches(model, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UnknownModel(f"no worker knows a model {model!r}: {_others(names)}{hint}")


def _others(names: Sequence[str]) -> str:
    return f"they serve {', '.join(names)}" if names else "none has been heard of lately"
