"""One version of a model in memory: reads requests by its card and calls its estimator.

Nothing else in Modelane calls a method of an estimator that serves.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.errors import PredictionFailed, UnknownMethod
from modelane.protocol.predict_request import Request
from modelane_worker.inference import outputs
from modelane_worker.inference.mixed_rows import MixedRows, Rows
from modelane_worker.inference.request_reader import RequestReader
from modelane_worker.registry.card import Card

#: Method, dtype of the rows, and parameters as JSON.
GroupKey = tuple[str, str, str]


class Block(msgspec.Struct, frozen=True, gc=False):
    """The rows of one request, ready to be joined with other blocks of the same key.

    Attributes:
        rows: n rows, with their columns in the card's order.
        key: Only blocks with equal keys may share a predict.
        params: Keyword arguments of the method.
    """

    rows: Rows
    key: GroupKey
    params: dict[str, Any]

    @property
    def method(self) -> str:
        return self.key[0]


class Engine:
    """A loaded estimator and its card."""

    def __init__(self, card: Card, estimator: Any) -> None:
        self.card = card
        self._estimator = estimator
        self._reader = RequestReader(card.model, card.features)

    def block(self, request: Request) -> Block:
        """Read a request's rows and check them against the card.

        Raises:
            UnknownMethod: The card does not list the method.
            BadInput: The model does not take these rows; the message says what it expects.
        """
        if request.method not in self.card.methods:
            raise UnknownMethod(
                f"{self.card.model} has no method {request.method!r:.40}: "
                f"it answers {', '.join(self.card.methods)}"
            )
        rows = self._reader.read(request.rows, request.columns)
        dtype = "mixed" if isinstance(rows, MixedRows) else rows.dtype.str
        params = json.dumps(request.params, sort_keys=True) if request.params else ""
        return Block(rows, (request.method, dtype, params), request.params)

    def predict(self, method: str, rows: Rows, params: dict[str, Any]) -> NDArray[Any]:
        """Call a method of the estimator; item i of the result answers row i.

        Raises:
            PredictionFailed: The estimator raised an exception, or did not return one item per row.
        """
        try:
            taken = rows.frame(self.card.features) if isinstance(rows, MixedRows) else rows
            return outputs.to_array(getattr(self._estimator, method)(taken, **params), len(rows))
        except Exception as exc:
            raise PredictionFailed(f"{self.card.model}.{method} failed: {exc}") from exc

    def warm_up(self) -> None:
        """Predict the card's example with every method, so that the first caller does not pay for it.

        Then speed up the estimator's forests, and undo that if an answer to the example changes.
        """
        from modelane_worker.inference.fast_forest import restore, speed_up  # noqa: PLC0415  # a fake worker has no scikit-learn

        before = self._predict_example()
        forests = speed_up(self._estimator)
        if forests and not all(map(np.array_equal, before, self._predict_example())):
            restore(forests)

    def _predict_example(self) -> list[NDArray[Any]]:
        example = self._reader.read([list(self.card.example)], None)
        return [self.predict(method, example, {}) for method in self.card.methods]
