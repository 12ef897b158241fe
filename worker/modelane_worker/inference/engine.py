"""One version of a model, in memory: checks rows against its card, and alone calls predict."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.errors import PredictionFailed, UnknownMethod
from modelane.protocol.predict_request import Request
from modelane_worker.inference import outputs
from modelane_worker.inference.feature_rows import Mixed, Rows
from modelane_worker.inference.request_rows import Reader
from modelane_worker.registry.card import Card

GroupKey = tuple[str, str, str]


class Block(msgspec.Struct, frozen=True, gc=False):
    """One request's rows, ready to be joined with others of the same key.

    Attributes:
        rows: n rows, columns in the card's order.
        key: method, dtype and parameters; only equal keys may share a predict.
    """

    rows: Rows
    key: GroupKey
    params: dict[str, Any]

    @property
    def method(self) -> str:
        return self.key[0]


class Engine:
    """A verified estimator and the card that came with it."""

    def __init__(self, card: Card, estimator: Any) -> None:
        self.card = card
        self._estimator = estimator
        self._reader = Reader(card.model, card.features)

    def block(self, request: Request) -> Block:
        """Check a request against the card.

        Raises:
            UnknownMethod: not in the card.
            BadInput: rows that the model does not take; the sentence says what it expects.
        """
        if request.method not in self.card.methods:
            raise UnknownMethod(
                f"{self.card.model} answers {', '.join(self.card.methods)}; not {request.method!r:.40}"
            )
        rows = self._reader.read(request.rows, request.columns)
        dtype = "mixed" if isinstance(rows, Mixed) else rows.dtype.str
        params = json.dumps(request.params, sort_keys=True) if request.params else ""
        return Block(rows, (request.method, dtype, params), request.params)

    def predict(self, method: str, rows: Rows, params: dict[str, Any]) -> NDArray[Any]:
        """Call the model once; output i answers row i.

        Raises:
            PredictionFailed: the model raised, or did not give one output a row.
        """
        try:
            asked = rows.frame(self.card.features) if isinstance(rows, Mixed) else rows
            return outputs.to_array(getattr(self._estimator, method)(asked, **params), len(rows))
        except Exception as exc:
            raise PredictionFailed(f"{self.card.model}.{method}: {exc}") from exc

    def warm_up(self) -> None:
        """Predict the card's example with every method, so that the first caller does not wait for it.

        Then make the estimator answer as soon as it can, if it goes on saying the same.
        """
        from modelane_worker.inference.fast_forest import quicken, slow_down  # noqa: PLC0415  # a fake does without scikit-learn

        said = self._on_example()
        quickened = quicken(self._estimator)
        if quickened and not all(map(np.array_equal, said, self._on_example())):
            slow_down(quickened)

    def _on_example(self) -> list[NDArray[Any]]:
        example = self._reader.read([list(self.card.example)], None)
        return [self.predict(method, example, {}) for method in self.card.methods]
