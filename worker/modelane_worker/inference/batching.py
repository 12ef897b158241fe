"""Group, join, split: what turns many requests into few predicts, and back.  Pure.

Rows of two requests meet only if method, dtype and parameters are equal, and never for longer than one
predict.  A group that raises is taken apart until each culprit stands alone, so nobody pays for a neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.errors import ModelaneError, PredictionFailed
from modelane.protocol.predict_request import Request
from modelane_worker.inference import bisect_failures
from modelane_worker.inference.engine import Block, GroupKey
from modelane_worker.inference.feature_rows import Rows, join

#: Seconds of looking for culprits after which others are served in between.
BREATH_S = 1.0


class Predictor(Protocol):
    """What a batch needs of a model."""

    def block(self, request: Request) -> Block: ...

    def predict(self, method: str, rows: Rows, params: dict[str, Any]) -> NDArray[Any]: ...


class Predicted(msgspec.Struct, frozen=True, gc=False):
    """One request's share of a batch.

    Attributes:
        values: output i answers row i of the request.
        began_s: when the predict began that it was part of, by the clock of :func:`answer`.
        predict_s: how long the predict took that it was part of.
        batch_rows: rows in that predict.
    """

    values: NDArray[Any]
    began_s: float
    predict_s: float
    batch_rows: int


Outcome = Predicted | ModelaneError


def answer(
    requests: Sequence[Request],
    model: Predictor,
    *,
    max_rows: int,
    breathe: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Outcome]:
    """One outcome a request, in their order.

    Args:
        requests: any mix of methods, dtypes and parameters.
        model: one version; all requests are answered by it.
        max_rows: most rows in one predict; a larger request is predicted alone, in slices.
        breathe: called between two slices, and now and then while culprits are looked for.
        clock: seconds.
    """
    outcomes: dict[int, Outcome] = {}
    groups: dict[GroupKey, list[tuple[int, Block]]] = {}
    for position, request in enumerate(requests):
        try:
            block = model.block(request)
        except ModelaneError as error:
            outcomes[position] = error
        except Exception as exc:  # a request that our own checks trip over takes no neighbour with it
            outcomes[position] = PredictionFailed(f"the request cannot be read: {type(exc).__name__}")
        else:
            groups.setdefault(block.key, []).append((position, block))
    together = partial(_together, model=model, max_rows=max_rows, breathe=breathe, clock=clock)
    for group in groups.values():
        for part in _cut(group, max_rows):
            blocks = [block for _, block in part]
            for (position, _), outcome in zip(part, _each(blocks, together, breathe, clock), strict=True):
                outcomes[position] = outcome
    return [outcomes[position] for position in range(len(requests))]


def _cut(group: list[tuple[int, Block]], max_rows: int) -> Iterator[list[tuple[int, Block]]]:
    """Consecutive parts of at most ``max_rows`` rows, or one block."""
    part: list[tuple[int, Block]] = []
    rows = 0
    for item in group:
        n = len(item[1].rows)
        if part and rows + n > max_rows:
            yield part
            part, rows = [], 0
        part.append(item)
        rows += n
    yield part


def _each(
    blocks: list[Block],
    together: Callable[[Sequence[Block]], list[Predicted]],
    breathe: Callable[[], None],
    clock: Callable[[], float],
) -> list[Outcome]:
    """Predict blocks of one key together, or apart if that raises."""
    try:
        return [*together(blocks)]
    except ModelaneError as error:
        if len(blocks) == 1:
            return [error]
    since_s = clock()

    def patiently(some: Sequence[Block]) -> list[Predicted]:
        nonlocal since_s
        if clock() - since_s > BREATH_S:
            breathe()
            since_s = clock()
        return together(some)

    return bisect_failures.apart(blocks, patiently)


def _together(
    blocks: Sequence[Block],
    *,
    model: Predictor,
    max_rows: int,
    breathe: Callable[[], None],
    clock: Callable[[], float],
) -> list[Predicted]:
    """Raises :class:`PredictionFailed`: the model does not answer all of them."""
    joined = join([block.rows for block in blocks])
    first_s, took_s, slices = clock(), 0.0, list[NDArray[Any]]()
    for first in range(0, len(joined), max_rows):
        if slices:
            breathe()
        began_s = clock()
        slices.append(model.predict(blocks[0].method, joined[first : first + max_rows], blocks[0].params))
        took_s += clock() - began_s
    values = slices[0] if len(slices) == 1 else np.concatenate(slices)
    if len(values) != len(joined):
        raise PredictionFailed(f"the model answered {len(values)} rows to {len(joined)}")
    ends = accumulate(len(block.rows) for block in blocks)
    shares = (values[end - len(block.rows) : end] for block, end in zip(blocks, ends, strict=True))
    return [Predicted(share, first_s, took_s, len(joined)) for share in shares]
