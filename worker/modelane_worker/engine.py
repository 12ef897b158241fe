"""One version of a model, in memory: checks rows against its card, and alone calls predict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadInput, PredictionFailed, UnknownMethod
from modelane.request import Request
from modelane.tensors import Tensor
from modelane_worker.card import Card
from modelane_worker.quick import quicken, slow_down

GroupKey = tuple[str, str, str]


class Block(msgspec.Struct, frozen=True, gc=False):
    """One request's rows, ready to be joined with others of the same key.

    Attributes:
        rows: numeric, shape (n, n_features), columns in the card's order.
        key: method, dtype and parameters; only equal keys may share a predict.
    """

    rows: NDArray[Any]
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
        self._columns = tuple(feature.name for feature in card.features)

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
        rows = self._array(request.rows, request.columns)
        params = json.dumps(request.params, sort_keys=True) if request.params else ""
        return Block(rows, (request.method, rows.dtype.str, params), request.params)

    def predict(self, method: str, rows: NDArray[Any], params: dict[str, Any]) -> NDArray[Any]:
        """Call the model once; output i answers row i.

        Raises:
            PredictionFailed: the model raised, or did not give one output a row.
        """
        try:
            answered = getattr(self._estimator, method)(rows, **params)
            values = np.asarray(answered)
        except Exception as exc:
            raise PredictionFailed(f"{self.card.model}.{method}: {exc}") from exc
        if values.shape[:1] != rows.shape[:1]:
            raise PredictionFailed(
                f"{self.card.model}.{method} answered {values.shape[0] if values.ndim else 'no'} rows "
                f"to {len(rows)}"
            )
        return values.astype(str) if values.dtype == object else values

    def warm_up(self) -> None:
        """Predict the card's example with every method, so that the first caller does not wait for it.

        Then make the estimator answer as soon as it can, if it goes on saying the same.
        """
        said = self._on_example()
        quickened = quicken(self._estimator)
        if quickened and not all(map(np.array_equal, said, self._on_example())):
            slow_down(quickened)

    def _on_example(self) -> list[NDArray[Any]]:
        example = np.asarray([self.card.example], dtype=np.float64)
        return [self.predict(method, example, {}) for method in self.card.methods]

    def _array(self, rows: Any, columns: Sequence[str] | None) -> NDArray[Any]:
        if isinstance(rows, Tensor):
            array = rows.array()
        elif isinstance(rows, list):
            array = self._from_list(rows)
        else:
            raise BadInput("rows must be a list of rows, a list of records, or a tensor")
        if array.ndim != 2:
            raise BadInput(f"rows must have two dimensions (rows, columns), these have {array.ndim}")
        if array.dtype.kind not in "biuf":
            raise BadInput(f"{self.card.model} takes numbers, these rows are {array.dtype}")
        if len(array) == 0:
            raise BadInput("there are no rows")
        if array.shape[1] != len(self._columns):
            raise BadInput(
                f"{self.card.model} takes {len(self._columns)} features, these rows have {array.shape[1]}"
            )
        return array if columns is None else array[:, self._order(columns)]

    def _from_list(self, rows: list[Any]) -> NDArray[Any]:
        if not rows:
            raise BadInput("there are no rows")
        if isinstance(rows[0], dict):
            rows = [self._values(number, record) for number, record in enumerate(rows)]
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(self._columns):
                got = f"has {len(row)}" if isinstance(row, list) else "is no list"
                raise BadInput(f"{self.card.model} takes {len(self._columns)} features, row {number} {got}")
        try:
            return np.asarray(rows, dtype=np.float64)
        except (ValueError, TypeError, OverflowError) as exc:
            raise BadInput(f"{self.card.model} takes numbers: {self._culprit(rows)}") from exc

    def _culprit(self, rows: list[Any]) -> str:
        """Where the first value stands that is no number, and of which kind; never the value itself."""
        for number, row in enumerate(rows):
            for name, value in zip(self._columns, row, strict=True):
                try:
                    float(np.asarray(value, dtype=np.float64))
                except (ValueError, TypeError, OverflowError):
                    kind = "too large" if isinstance(value, int) else f"a {type(value).__name__}"
                    return f"row {number}, column {name!r} is {kind}"
        return "these rows hold something else"

    def _values(self, number: int, record: Any) -> list[Any]:
        if not isinstance(record, dict):
            raise BadInput(f"row {number} is no record, though the first one is")
        try:
            values = [record[name] for name in self._columns]
        except KeyError as exc:
            raise BadInput(f"row {number} has no column {exc}") from exc
        if len(record) > len(values):
            raise BadInput(f"row {number}: {self._unknown(record)}")
        return values

    def _order(self, columns: Sequence[str]) -> list[int]:
        where = {name: position for position, name in enumerate(columns)}
        if len(where) != len(columns) or set(where) != set(self._columns):
            missing = [name for name in self._columns if name not in where]
            raise BadInput(f"no column {missing[0]!r}" if missing else self._unknown(columns))
        return [where[name] for name in self._columns]

    def _unknown(self, names: Any) -> str:
        unknown = [str(name) for name in names if name not in self._columns]
        if not unknown:
            return "a column is named twice"
        return f"{self.card.model} has no column {unknown[0]!r:.60}"
