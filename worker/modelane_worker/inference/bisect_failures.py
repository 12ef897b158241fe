"""Find the requests that a predict failed for, with few further predicts.  batch → CULPRITS → batch.  Pure.

The usual culprits go first: requests with an infinite value, then those that lack a value, are tried by
themselves, so that the rest need not be searched.  What still fails together is halved.

100 of 1,024 requests with a NaN that the model does not take cost about 170 predicts.  Were all 1,024 bad, it
would be half as many again: each needs a predict of its own to be told what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from modelane.errors import ModelaneError
from modelane_worker.inference.engine import Block
from modelane_worker.inference.feature_rows import Mixed, Rows, join

T = TypeVar("T")
Together = Callable[[Sequence[Block]], list[T]]

#: Requests that are tried one by one: halving so few costs as many predicts, even if only one of them is bad.
FEW = 4

_USUAL = (2, 1, 0)  # infinite, lacking, neither


def apart(blocks: Sequence[Block], together: Together[T]) -> list[T | ModelaneError]:
    """What each of several blocks is answered, in their order.

    Args:
        blocks: for which ``together`` has failed; two or more.
        together: answers some of them, one answer each; raises :class:`ModelaneError` if any of them is bad.
    """
    suspicion = _suspicion(blocks)
    answers: dict[int, T | ModelaneError] = {}
    for degree in _USUAL:
        positions = np.flatnonzero(suspicion == degree).tolist()
        if len(positions) == len(blocks):
            return _halved(blocks, together)
        alike = _each([blocks[position] for position in positions], together)
        answers.update(zip(positions, alike, strict=True))
    return [answers[position] for position in range(len(blocks))]


def _each(blocks: Sequence[Block], together: Together[T]) -> list[T | ModelaneError]:
    if not blocks:
        return []
    try:
        return [*together(blocks)]
    except ModelaneError as error:
        return [error] if len(blocks) == 1 else _halved(blocks, together)


def _halved(blocks: Sequence[Block], together: Together[T]) -> list[T | ModelaneError]:
    """Blocks that are known to fail together."""
    if len(blocks) <= FEW:
        return [answer for block in blocks for answer in _each([block], together)]
    half = len(blocks) // 2
    first, second = blocks[:half], blocks[half:]
    try:
        answered = together(first)
    except ModelaneError:
        return [*_halved(first, together), *_each(second, together)]
    return [*answered, *_halved(second, together)]  # so the culprit is in the second half


def _suspicion(blocks: Sequence[Block]) -> NDArray[np.int8]:
    """Of each block, by its worst row; one pass over all of them."""
    sizes = [len(block.rows) for block in blocks]
    starts = [0, *accumulate(sizes[:-1])]
    worst: NDArray[np.int8] = np.maximum.reduceat(_by_row(join([block.rows for block in blocks])), starts)
    return worst


def _by_row(rows: Rows) -> NDArray[np.int8]:
    numbers = rows.numbers if isinstance(rows, Mixed) else rows
    infinite, lacking = np.isinf(numbers).any(axis=1), np.isnan(numbers).any(axis=1)
    if isinstance(rows, Mixed):
        lacking = lacking | (rows.texts != rows.texts).any(axis=1) | np.isnat(rows.dates).any(axis=1)
    return np.where(infinite, 2, lacking).astype(np.int8)
