"""Find the requests that make a predict fail, with as few further predicts as possible.

Two kinds of requests are suspected first and tried separately: those with an infinite value, then those with
a missing value. The others can then often be answered together. Requests that still fail together are split
in halves.

100 requests with a NaN that the model does not take, among 1,024, cost about 170 predicts. If all 1,024 were
bad, it would take about 1,540: each needs a predict of its own that gives its error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from modelane.errors import ModelaneError
from modelane_worker.inference.engine import Block
from modelane_worker.inference.mixed_rows import MixedRows, Rows, join

T = TypeVar("T")
#: Predicts some blocks together and returns one answer per block; raises a ModelaneError if any of them is
#: bad.
PredictTogether = Callable[[Sequence[Block]], list[T]]

#: So few requests are tried one by one: halving them costs as many predicts even if only one is bad.
FEW = 4

_INFINITE, _MISSING, _NEITHER = 2, 1, 0


def isolate(blocks: Sequence[Block], predict: PredictTogether[T]) -> list[T | ModelaneError]:
    """Return each block's answer or its error, in the order of the blocks.

    Args:
        blocks: Two or more blocks that fail together.
        predict: Predicts some of them together.
    """
    suspicion = _suspicion(blocks)
    answers: dict[int, T | ModelaneError] = {}
    for degree in (_INFINITE, _MISSING, _NEITHER):
        positions = np.flatnonzero(suspicion == degree).tolist()
        if len(positions) == len(blocks):
            return _bisect(blocks, predict)
        some = _answer_each([blocks[position] for position in positions], predict)
        answers.update(zip(positions, some, strict=True))
    return [answers[position] for position in range(len(blocks))]


def _answer_each(blocks: Sequence[Block], predict: PredictTogether[T]) -> list[T | ModelaneError]:
    """Predict blocks together if possible, and isolate the failures if not."""
    if not blocks:
        return []
    try:
        return [*predict(blocks)]
    except ModelaneError as error:
        return [error] if len(blocks) == 1 else _bisect(blocks, predict)


def _bisect(blocks: Sequence[Block], predict: PredictTogether[T]) -> list[T | ModelaneError]:
    """Answer blocks that are known to fail together."""
    if len(blocks) <= FEW:
        return [answer for block in blocks for answer in _answer_each([block], predict)]
    half = len(blocks) // 2
    first, second = blocks[:half], blocks[half:]
    try:
        answered = predict(first)
    except ModelaneError:
        return [*_bisect(first, predict), *_answer_each(second, predict)]
    return [*answered, *_bisect(second, predict)]  # the first half is fine, so the second one must fail


def _suspicion(blocks: Sequence[Block]) -> NDArray[np.int8]:
    """Rate each block by its worst row, in one pass over all rows."""
    sizes = [len(block.rows) for block in blocks]
    starts = [0, *accumulate(sizes[:-1])]
    worst: NDArray[np.int8] = np.maximum.reduceat(_by_row(join([block.rows for block in blocks])), starts)
    return worst


def _by_row(rows: Rows) -> NDArray[np.int8]:
    numbers = rows.numbers if isinstance(rows, MixedRows) else rows
    infinite, missing = np.isinf(numbers).any(axis=1), np.isnan(numbers).any(axis=1)
    if isinstance(rows, MixedRows):
        missing = missing | (rows.strings != rows.strings).any(axis=1) | np.isnat(rows.dates).any(axis=1)
    return np.where(infinite, _INFINITE, np.where(missing, _MISSING, _NEITHER)).astype(np.int8)
