"""How the results that workers store become the values of a prediction."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.client.answer import Answer, Retrained
from modelane.data.tensor import Tensor
from modelane.data.values import to_numbers
from modelane.errors import BadInput

_MEASUREMENTS = ("attempts", "queued_s", "gathered_s", "predict_s", "batch_rows")


def read_answer(result: dict[str, Any]) -> Answer:
    """Return the answer in a ``modelane.predict`` result."""
    values = result["values"]
    if isinstance(values, Tensor):
        values = values.array()
    elif not isinstance(values, np.ndarray):  # `loads` has already turned tensors into arrays
        values = _to_array(values)
    return Answer(
        values=values,
        model=result["model"],
        version=result["version"],
        method=result["method"],
        **{name: result[name] for name in _MEASUREMENTS if name in result},
    )


def read_retrained(result: dict[str, Any]) -> Retrained:
    """Return the outcome in a ``modelane.retrain`` result."""
    return msgspec.convert(result, Retrained)


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request with a caller-chosen id, to be compared with the answer stored under that id."""

    id: str
    model: str
    method: str
    version: str | None
    n_rows: int


def read_answer_to(request: RequestSummary, result: dict[str, Any]) -> Answer:
    """Return the answer stored under a caller-chosen id.

    Raises:
        BadInput: the id was used before for a different request.
    """
    answer = read_answer(result)
    is_same = (answer.model, answer.method, len(answer)) == (request.model, request.method, request.n_rows)
    if not is_same or request.version not in (None, answer.version):
        raise BadInput(
            f"id={request.id!r} was already used for another request ({answer.model} {answer.version}, "
            f"{answer.method} of {len(answer)} rows): choose a different id for each request"
        )
    return answer


def _to_array(values: list[Any]) -> NDArray[Any]:
    """Return an array of numbers or of objects; a string array is as wide as its longest string."""
    objects = np.array(values, dtype=object)
    numbers = to_numbers(values, set(map(type, objects.flat)))
    return objects if numbers is None else numbers
