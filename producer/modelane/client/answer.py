"""The values that a prediction completes with: :class:`Answer`, :class:`Retrained` and :class:`Progress`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from numpy.typing import NDArray


class Answer(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """The predictions for one request's rows, and how they were made.

    Numpy functions accept an answer as the array of its values; ``len(answer)`` is the number of rows.

    Attributes:
        values: one output per row of the request, in its order, in the dtype of the model: shape (n,) for
            labels or numbers, (n, k) for a method such as ``predict_proba``.
        model: name of the model.
        version: version of the model that answered.
        method: method of the model that was called.
        attempts: number of workers that started the request, including the one that answered; more than 1 if
            a worker was lost.
        queued_s: seconds from submission until a worker reserved the request. The two times come from the
            clocks of two machines; never negative.
        gathered_s: seconds from there until its batch was predicted.
        predict_s: seconds that predicting its batch took.
        batch_rows: rows that were predicted together with this request, its own included.

    The four measurements are 0 if the request was sent by a Celery client, or was part of a canvas.
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
            raise ValueError(
                f"the values are {self.values.dtype} and cannot be returned as {dtype} without a copy: "
                "omit copy=False"
            )
        return values

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """The outcome of a retraining.

    Attributes:
        model: name of the model.
        version: version that was trained.
        promoted: whether this version answers requests now.
        reason: the gate's reason for promoting it or not.
        metrics: metric values on the hold-out, by name.
    """

    model: str
    version: str
    promoted: bool
    reason: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Progress:
    """The step that a retraining has reached.

    Attributes:
        step: name of the step, such as ``fit``.
        detail: what the step works on.
    """

    step: str
    detail: str
