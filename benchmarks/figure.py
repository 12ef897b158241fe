"""What a program measured, in a form that a table, a plot and a reader of JSON can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the closing table.

    Attributes:
        what: is measured, in words.
        ours: what Modelane reached, with its unit.
        against: what it is held against, in the same run.
        result: the ratio or difference that counts.
        target: what it should be, in words.
        met: whether it is; None where there is nothing to reach.
    """

    what: str
    ours: str
    against: str
    result: str
    target: str
    met: bool | None


@dataclass(slots=True)
class Figure:
    """All that one program has to say."""

    lines: list[Line] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)  #: for the JSON file


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long a program may take.

    Attributes:
        rounds: paired runs; the median of their ratios counts.
        seconds: of one run.
        say: tells somebody who waits what is being done.
    """

    rounds: int
    seconds: float
    say: Callable[[str], None]
