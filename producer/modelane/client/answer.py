"""The values that a future ends with, and how they are read from what a worker stored.  replies → ANSWER."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.data.tensor import Tensor
from modelane.data.values import to_numbers
from modelane.errors import BadInput


class Answer(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """What a model said about one request's rows.

    Attributes:
        values: output i answers row i; labels and numbers in the model's own dtype.
        model: which model.
        version: which of its versions.
        method: which of its methods.
        attempts: workers that have begun with it, the one that answered included.
        queued_s: from submit to a worker taking it, by two clocks; never negative.
        gathered_s: from there until its predict began.
        predict_s: how long its batch computed.
        batch_rows: rows that were predicted together with it, its own included.

    What is measured is 0 in the answer of a stock client's request, or of a part of a canvas.
    """

    values: NDArray[Any]
    model: str
    version: str
    method: str
    attempts: int = 1
    queued_s: float = 0.0
    gathered_s: float = 0.0
    predict_s: float = 0.0
    batch_rows: int = 0

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self.values.astype(self.values.dtype if dtype is None else dtype, copy=bool(copy))
        if copy is False and values is not self.values:
            raise ValueError(f"values are {self.values.dtype}: as {dtype} they have to be copied")
        return values

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """How a retraining ended.

    Attributes:
        model: which model.
        version: the version that was trained.
        promoted: whether it answers requests now.
        reason: the gate's verdict, in words.
        metrics: on the hold-out.
    """

    model: str
    version: str
    promoted: bool
    reason: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long request has come."""

    step: str  #: such as ``fit``
    detail: str  #: what it works on, in a few words


#: What a worker measured.
_MEASURED = ("attempts", "queued_s", "gathered_s", "predict_s", "batch_rows")


def _from_list(values: list[Any]) -> NDArray[Any]:
    """Numbers, or objects: strings in one array of fixed width would all be as wide as the longest."""
    objects = np.array(values, dtype=object)
    numbers = to_numbers(values, set(map(type, objects.flat)))
    return objects if numbers is None else numbers


def read_answer(result: dict[str, Any]) -> Answer:
    values = result["values"]
    if isinstance(values, Tensor):
        values = values.array()
    elif not isinstance(values, np.ndarray):  # as it is read where it lies stored
        values = _from_list(values)
    return Answer(
        values=values,
        model=result["model"],
        version=result["version"],
        method=result["method"],
        **{name: result[name] for name in _MEASURED if name in result},
    )


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request with an id of the caller's own asked for."""

    id: str
    model: str
    method: str
    version: str | None
    n_rows: int


def read_shared(asked: Asked, result: dict[str, Any]) -> Answer:
    """The answer of a request whose id a caller has named.

    Raises:
        BadInput: the id was somebody's before, for something else.
    """
    answer = read_answer(result)
    same = (answer.model, answer.method, len(answer)) == (asked.model, asked.method, asked.n_rows)
    if not same or asked.version not in (None, answer.version):
        raise BadInput(
            f"the id {asked.id!r} was used before, for another request: {answer.model} {answer.version}, "
            f"{answer.method} of {len(answer)} rows; give each request an id of its own"
        )
    return answer


def read_retrained(result: dict[str, Any]) -> Retrained:
    return msgspec.convert(result, Retrained)
