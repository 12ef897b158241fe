"""What one run of ``modelane score`` is asked to do, and its result.

The options of the command (``modelane.cli.score``) are the fields of :class:`Job`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file to score.

    Attributes:
        model: name of the model.
        source: the input file.
        out: the output file.
        keep: columns of the input that are copied to the output, without duplicates.
        method: method of the model, such as ``predict_proba``.
        version: version of the model; None: the version that is in service when the run begins.
        on_error: what a row that cannot be scored does: ``stop`` ends the run, ``column`` writes the reason
            to a column.
        batch_rows: rows per request.
        window: requests in flight.
        priority: 0 (served first) to 9.
        timeout_s: seconds to wait for an answer, or for Redis.
        restart: discard the results of an earlier, unfinished run.
    """

    model: str
    source: Path
    out: Path
    keep: tuple[str, ...]
    method: str
    version: str | None
    on_error: Literal["stop", "column"]
    batch_rows: int
    window: int
    priority: int
    timeout_s: float
    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of a finished job.

    Attributes:
        version: the version that scored all rows.
        n_rows: rows of the output.
        n_errors: rows that could not be scored.
        n_resumed: rows that an earlier run had scored.
        took_s: duration of this run in seconds.
    """

    version: str
    n_rows: int
    n_errors: int
    n_resumed: int
    took_s: float
