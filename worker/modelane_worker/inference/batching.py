"""Answer many requests with few predicts: group them, join their rows, and split the outputs again.

Rows of two requests share a predict only if method, dtype and parameters are equal. If a group fails, its
requests are answered in smaller parts until each bad one stands alone, so that only bad requests fail. No
Redis here.
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
from modelane_worker.inference.mixed_rows import Rows, join

#: While bad requests are searched for, ``serve_others`` is called after this many seconds.
SEARCH_PAUSE_S = 1.0


class Predictor(Protocol):
    """What a batch needs of a model; see :class:`modelane_worker.inference.engine.Engine`."""

    def block(self, request: Request) -> Block: ...

    def predict(self, method: str, rows: Rows, params: dict[str, Any]) -> NDArray[Any]: ...


class Predicted(msgspec.Struct, frozen=True, gc=False):
    """One request's part of a batch.

    Attributes:
        values: Item i answers row i of the request.
        began_s: When its predict began, by the clock of :func:`answer`.
        predict_s: How long its predict took.
        batch_rows: The number of rows in its predict.
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
    serve_others: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Outcome]:
    """Return one outcome per request, in their order.

    Args:
        requests: Any mix of methods, dtypes and parameters.
        model: One version; it answers all requests.
        max_rows: The most rows in one predict. A larger request is predicted alone, in slices.
        serve_others: Called between two slices, and every :data:`SEARCH_PAUSE_S` while bad requests are
            searched for, so that the lane can serve waiting requests.
        clock: Seconds.
    """
    outcomes: dict[int, Outcome] = {}
    groups: dict[GroupKey, list[tuple[int, Block]]] = {}
    for position, request in enumerate(requests):
        try:
            block = model.block(request)
        except ModelaneError as error:
            outcomes[position] = error
        except Exception as exc:  # a request that breaks our own checks must not fail its neighbours
            outcomes[position] = PredictionFailed(f"the request cannot be read: {type(exc).__name__}")
        else:
            groups.setdefault(block.key, []).append((position, block))
    predict = partial(
        _predict_together, model=model, max_rows=max_rows, serve_others=serve_others, clock=clock
    )
    for group in groups.values():
        for part in _parts(group, max_rows):
            blocks = [block for _, block in part]
            answered = _answer_blocks(blocks, predict, serve_others, clock)
            for (position, _), outcome in zip(part, answered, strict=True):
                outcomes[position] = outcome
    return [outcomes[position] for position in range(len(requests))]


def _parts(group: list[tuple[int, Block]], max_rows: int) -> Iterator[list[tuple[int, Block]]]:
    """Yield consecutive parts of a group: at most ``max_rows`` rows each, or one larger block."""
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


def _answer_blocks(
    blocks: list[Block],
    predict: Callable[[Sequence[Block]], list[Predicted]],
    serve_others: Callable[[], None],
    clock: Callable[[], float],
) -> list[Outcome]:
    """Predict blocks with one key together; if that fails, isolate the blocks that fail."""
    try:
        return [*predict(blocks)]
    except ModelaneError as error:
        if len(blocks) == 1:
            return [error]
    paused_s = clock()

    def predict_with_pauses(some: Sequence[Block]) -> list[Predicted]:
        nonlocal paused_s
        if clock() - paused_s > SEARCH_PAUSE_S:
            serve_others()
            paused_s = clock()
        return predict(some)

    return bisect_failures.isolate(blocks, predict_with_pauses)


def _predict_together(
    blocks: Sequence[Block],
    *,
    model: Predictor,
    max_rows: int,
    serve_others: Callable[[], None],
    clock: Callable[[], float],
) -> list[Predicted]:
    """Predict blocks with one key together and split the output.

    Raises:
        PredictionFailed: The model fails for at least one of them.
    """
    joined = join([block.rows for block in blocks])
    first_s, took_s, slices = clock(), 0.0, list[NDArray[Any]]()
    for first in range(0, len(joined), max_rows):
        if slices:
            serve_others()
        began_s = clock()
        slices.append(model.predict(blocks[0].method, joined[first : first + max_rows], blocks[0].params))
        took_s += clock() - began_s
    values = slices[0] if len(slices) == 1 else np.concatenate(slices)
    if len(values) != len(joined):
        raise PredictionFailed(f"the model returned {len(values)} rows for {len(joined)} rows")
    ends = accumulate(len(block.rows) for block in blocks)
    shares = (values[end - len(block.rows) : end] for block, end in zip(blocks, ends, strict=True))
    return [Predicted(share, first_s, took_s, len(joined)) for share in shares]
