"""Where the rows of a table are in their source, such as ``churn.csv rows 3, 9``, for errors and notes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: The rows that one sentence lists; it counts the others.
MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class RowLocations:
    """Names rows of a source that consists of one or more parts, such as files.

    Attributes:
        parts: the name of each part and the index of its first row, in the order in which they were read.
        first: the number that the first row of each part has there, such as 2 below the header of a CSV file.
        unit: what the numbers count, such as ``row`` or ``line``.
    """

    parts: tuple[tuple[str, int], ...] = (("", 0),)
    first: int = 0
    unit: str = "row"

    def __call__(self, index: int) -> str:
        """Name one row by its index in the source: ``churn.csv row 17``."""
        name, start = self._part(index)
        return f"{name} {self.unit} {index - start + self.first}".strip()

    def all(self, indices: Sequence[int]) -> str:
        """List a few rows and count the rest: ``churn.csv rows 3, 9, 12 and 4 more``."""
        listed = [int(index) for index in indices[:MAX_LISTED]]
        if len(listed) == 1:
            return self(listed[0])
        words = []
        for name in dict.fromkeys(self._part(index)[0] for index in listed):
            numbers = (str(i - s + self.first) for i in listed for n, s in [self._part(i)] if n == name)
            words.append(f"{name} {self.unit}s {', '.join(numbers)}".strip())
        more = len(indices) - len(listed)
        return "; ".join(words) + (f" and {more} more" if more else "")

    def _part(self, index: int) -> tuple[str, int]:
        return self.parts[bisect_right([start for _, start in self.parts], index) - 1]


#: For rows that have no other name: ``row 17``, counted from 0.
BY_INDEX = RowLocations()


def joined_locations(parts: Iterable[tuple[str, int]], like: RowLocations) -> RowLocations:
    """Return the locations of several files that were read one after the other.

    Args:
        parts: the name and the number of rows of each file.
        like: the locations of one of the files.
    """
    starts, total = [], 0
    for name, n_rows in parts:
        starts.append((name, total))
        total += n_rows
    return RowLocations(tuple(starts), like.first, like.unit)


def count_rows(number: int) -> str:
    """Return ``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{number:,} row{'s' if number != 1 else ''}"
