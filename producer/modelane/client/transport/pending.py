"""The futures of one client that wait for a reply, by the id of their request.

Most requests have a random id and one future. Several futures may share an id that the caller chose, or that
was attached to.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

from modelane.client.prediction import Prediction
from modelane.client.transport.reply import Reply
from modelane.errors import ModelaneError, Undecodable


class Pending:
    """Futures that are not done; thread-safe."""

    def __init__(self) -> None:
        self._own: dict[str, Prediction[Any]] = {}
        self._shared: dict[str, tuple[Prediction[Any], ...]] = {}
        self._changing_shared = threading.Lock()
        self._on_done = self.remove  # one bound method for all futures

    def __len__(self) -> int:
        return len(self._own) + sum(map(len, list(self._shared.values())))

    def add(self, prediction: Prediction[Any]) -> None:
        """Add a future; it is removed when it is done."""
        if prediction.is_shared:
            with self._changing_shared:
                self._shared[prediction.id] = (*self._shared.get(prediction.id, ()), prediction)
        else:
            self._own[prediction.id] = prediction
        prediction.add_done_callback(self._on_done)

    def remove(self, future: Future[Any]) -> None:
        """Remove a future; harmless if it is not there."""
        prediction = cast("Prediction[Any]", future)
        if not prediction.is_shared:
            self._own.pop(prediction.id, None)
            return
        with self._changing_shared:
            others = tuple(p for p in self._shared.pop(prediction.id, ()) if p is not prediction)
            if others:
                self._shared[prediction.id] = others

    def waiting_for(self, id_: str) -> Sequence[Prediction[Any]]:
        """Return the futures of one request."""
        own = self._own.get(id_)
        shared = self._shared.get(id_, ()) if self._shared else ()
        return shared if own is None else (own, *shared)

    def all(self) -> list[Prediction[Any]]:
        """Return a snapshot of all futures."""
        return [*list(self._own.values()), *(p for those in list(self._shared.values()) for p in those)]

    def deliver(self, reply: Reply) -> None:
        """Pass a reply on to the futures that wait for it; without any, it came too late and is dropped."""
        for prediction in self.waiting_for(reply.task_id):
            if not prediction.is_ignored:
                _apply(reply, prediction)


def _apply(reply: Reply, prediction: Prediction[Any]) -> None:
    if (progress := reply.progress) is not None:
        prediction.report(progress)
        return
    if (error := reply.error()) is not None:
        prediction.fail(error)
        return
    try:
        value = prediction.read(reply.result)
    except ModelaneError as exc:
        prediction.fail(exc)
    except Exception as exc:  # anyone with access to Redis can store anything
        prediction.fail(Undecodable(f"the answer cannot be read: {exc!r}"))
    else:
        prediction.complete(value)
