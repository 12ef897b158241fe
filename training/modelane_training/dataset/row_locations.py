"""Where a row stands in what it was read from, in words.  For sentences that name rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Rows that one sentence names; the others are counted.
NAMED_ROWS = 3


@dataclass(frozen=True, slots=True)
class Places:
    """Names rows by their number in each part, such as ``churn.csv row 17``.

    Attributes:
        parts: what was read, one after the other, each with the index of its first row.
        first: the number of the first row of each part: 2 below the header of a CSV file.
        unit: what is counted.
    """

    parts: tuple[tuple[str, int], ...] = (("", 0),)
    first: int = 0
    unit: str = "row"

    def __call__(self, index: int) -> str:
        name, start = self._part(index)
        return f"{name} {self.unit} {index - start + self.first}".strip()

    def all(self, indices: Sequence[int]) -> str:
        """A few rows named, the rest counted: ``churn.csv rows 3, 9, 12 and 4 more``."""
        named = [int(index) for index in indices[:NAMED_ROWS]]
        if len(named) == 1:
            return self(named[0])
        words = []
        for name in dict.fromkeys(self._part(index)[0] for index in named):
            numbers = (str(i - s + self.first) for i in named for n, s in [self._part(i)] if n == name)
            words.append(f"{name} {self.unit}s {', '.join(numbers)}".strip())
        more = len(indices) - len(named)
        return "; ".join(words) + (f" and {more} more" if more else "")

    def _part(self, index: int) -> tuple[str, int]:
        return self.parts[bisect_right([start for _, start in self.parts], index) - 1]


def counted(number: int) -> str:
    return f"{number:,} row{'s' if number != 1 else ''}"


#: Rows that have no other name: ``row 17``, counted from 0.
BY_INDEX = Places()


def joined(parts: Iterable[tuple[str, int]], like: Places) -> Places:
    """The places of several files read one after the other, given their names and numbers of rows."""
    starts, total = [], 0
    for name, n_rows in parts:
        starts.append((name, total))
        total += n_rows
    return Places(tuple(starts), like.first, like.unit)
