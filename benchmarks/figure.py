"""The results of a measurement, for the table, the plots and the JSON file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table of results.

    Attributes:
        what: What was measured.
        ours: The value of Modelane, with its unit.
        against: The value that it is compared with, from the same run.
        result: The ratio or difference of the two.
        target: What the result should be.
        met: Whether the target is met; None if there is no target.
    """

    what: str
    ours: str
    against: str
    result: str
    target: str
    met: bool | None


@dataclass(slots=True)
class Figure:
    """The results of one module."""

    lines: list[Line] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)  #: for the JSON file


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How thoroughly to measure.

    Attributes:
        rounds: Number of paired runs; the result is the median of their ratios.
        seconds: Duration of one run.
        say: Shows what is being measured now.
    """

    rounds: int
    seconds: float
    say: Callable[[str], None]
