"""The futures of one client that wait for an answer, by the id of their request.

Most ids are drawn for one future and wanted by it alone.  Several may share one that a caller has named, or
that was attached to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from modelane.client.prediction import Prediction


class Pending:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._alone: dict[str, Prediction[Any]] = {}
        self._shared: dict[str, tuple[Prediction[Any], ...]] = {}
        self._changing = threading.Lock()  # of those that are shared

    def add(self, prediction: Prediction[Any]) -> None:
        if not prediction.is_shared:
            self._alone[prediction.id] = prediction
            return
        with self._changing:
            self._shared[prediction.id] = (*self._shared.get(prediction.id, ()), prediction)

    def remove(self, prediction: Prediction[Any]) -> None:
        """Harmless if it is not there."""
        if not prediction.is_shared:
            self._alone.pop(prediction.id, None)
            return
        with self._changing:
            others = tuple(p for p in self._shared.pop(prediction.id, ()) if p is not prediction)
            if others:
                self._shared[prediction.id] = others

    def waiting_for(self, id_: str) -> Sequence[Prediction[Any]]:
        alone = self._alone.get(id_)
        shared = self._shared.get(id_, ()) if self._shared else ()
        return shared if alone is None else (alone, *shared)

    def all(self) -> Iterable[Prediction[Any]]:
        """As they are now."""
        return [*list(self._alone.values()), *(p for those in list(self._shared.values()) for p in those)]

    def __len__(self) -> int:
        return len(self._alone) + sum(map(len, list(self._shared.values())))
