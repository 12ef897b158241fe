"""Send the batches of a file to a model's lane and return the rows of the output in the same order.

A batch that the model refuses is split in halves, again and again, until the rows that it refuses are alone.
Those rows get a reason; the other rows get their answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelane.broker.served_models import Served
from modelane.bulk.casting import as_rows, cast_columns
from modelane.bulk.client_lane import ClientLane
from modelane.bulk.job import Job
from modelane.bulk.output_columns import output_batch
from modelane.bulk.readers.base import FAULT
from modelane.client.answer import Answer
from modelane.client.window import Outcome
from modelane.errors import BadInput, BulkError, Buried, ModelaneError, PredictionFailed, TooLarge

#: Requests in flight while a batch is searched for the rows that the model refuses.
SEARCH_WINDOW = 256

#: If the first batch has at least this many rows and none can be scored, the run ends.
HOPELESS_ROWS = 100

#: Errors that are about the rows of a request, so that a smaller request may succeed.
_ABOUT_ROWS = (BadInput, PredictionFailed, TooLarge)


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Rows of the output, and how many of them could not be scored."""

    rows: pa.RecordBatch
    n_errors: int


@dataclass(frozen=True, slots=True)
class _Pending:
    """A batch that was sent and is not answered yet.

    Attributes:
        first_row: number of its first row in the file.
        kept: the columns that are copied to the output, with all rows.
        rows: the model's columns of the rows that can be sent.
        faults: for each row why it cannot be sent; null where it can.
    """

    first_row: int
    kept: pa.RecordBatch
    rows: pa.RecordBatch
    faults: pa.Array


class Scorer:
    """Scores the batches of one job.

    Args:
        job: the job.
        served: the model's version that must answer, with its columns and classes.
        lane: answers requests.
        blank_is_missing: whether an empty text in the input is a missing value.
    """

    def __init__(self, job: Job, served: Served, lane: ClientLane, *, blank_is_missing: bool) -> None:
        self._job = job
        self._served = served
        self._lane = lane
        self._blank_is_missing = blank_is_missing

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the input that are needed, without duplicates."""
        return tuple(dict.fromkeys([*(feature.name for feature in self._served.features), *self._job.keep]))

    def score(self, batches: Iterable[pa.RecordBatch], first_row: int) -> Iterator[ScoredBatch]:
        """Return the rows of ``batches`` with the answers of the model.

        Args:
            batches: have the columns :attr:`columns` and :data:`modelane.bulk.readers.base.FAULT`.
            first_row: number of the first row in the file, for error messages.

        Raises:
            BulkError: a row cannot be scored, and the job stops at errors; or no row of a large first batch
                can.
            ModelaneError: an error that is not about rows, such as a timeout.
        """
        pending: deque[_Pending] = deque()

        def to_send() -> Iterator[Any]:
            row = first_row
            for batch in batches:
                piece = self._prepare(batch, row)
                row += len(batch)
                pending.append(piece)
                if len(piece.rows):
                    yield as_rows(piece.rows)

        for outcome in self._lane.answers(to_send(), self._job.window):
            while not len(pending[0].rows):  # none of its rows could be sent
                yield self._finish(pending.popleft(), {}, {})
            piece = pending.popleft()
            yield self._finish(piece, *self._resolve(piece, outcome))
        while pending:
            yield self._finish(pending.popleft(), {}, {})

    def _prepare(self, batch: pa.RecordBatch, first_row: int) -> _Pending:
        rows, faults = cast_columns(batch, self._served.features, blank_is_missing=self._blank_is_missing)
        unreadable = batch.column(FAULT)
        if unreadable.null_count < len(unreadable):
            faults = pc.coalesce(unreadable, faults)
        if faults.null_count < len(faults):
            rows = rows.filter(faults.is_null())
        return _Pending(first_row, batch.select(self._job.keep), rows, faults)

    def _resolve(self, piece: _Pending, outcome: Outcome) -> tuple[dict[int, NDArray[Any]], dict[int, str]]:
        """Find the answers and the refused rows of a batch; positions count the rows that were sent.

        Returns:
            Arrays of answers by the position of their first row, and reasons by the position of their row.
        """
        answers: dict[int, NDArray[Any]] = {}
        reasons: dict[int, str] = {}
        spans, outcomes = [(0, len(piece.rows))], iter([outcome])
        while spans:
            halves = []
            for (first, end), found in zip(spans, outcomes, strict=True):
                if isinstance(found, Answer):
                    self._check_version(found)
                    answers[first] = found.values
                elif isinstance(found, Buried):  # the rows ended several workers: send none of them again
                    reasons |= dict.fromkeys(range(first, end), _first_line(found))
                elif not isinstance(found, _ABOUT_ROWS):
                    raise found
                elif end - first == 1:
                    reasons[first] = _first_line(found)
                else:
                    middle = (first + end) // 2
                    halves += [(first, middle), (middle, end)]
            spans = halves
            outcomes = self._lane.answers(
                (as_rows(piece.rows.slice(first, end - first)) for first, end in halves), SEARCH_WINDOW
            )
        return answers, reasons

    def _check_version(self, answer: Answer) -> None:
        if answer.version != self._served.version:
            raise BulkError(
                f"version {answer.version} of {self._served.model} answered, but this run uses version "
                f"{self._served.version}"
            )

    def _finish(
        self, piece: _Pending, answers: dict[int, NDArray[Any]], refused: dict[int, str]
    ) -> ScoredBatch:
        """Return a batch's rows of the output.

        Raises:
            BulkError: a row failed, and the run ends for it.
        """
        reasons = piece.faults.to_pylist() if piece.faults.null_count < len(piece.faults) else None
        if refused:
            sent = np.flatnonzero(piece.faults.is_null().to_numpy(zero_copy_only=False))
            reasons = reasons or [None] * len(piece.faults)
            for position, reason in refused.items():
                reasons[sent[position]] = reason
        n_errors = sum(reason is not None for reason in reasons or ())
        if reasons and n_errors:
            self._check_errors(piece.first_row, reasons, n_errors)
        rows = output_batch(
            piece.kept,
            [answers[first] for first in sorted(answers)],
            reasons,
            method=self._job.method,
            classes=self._served.classes,
        )
        return ScoredBatch(rows, n_errors)

    def _check_errors(self, first_row: int, reasons: Sequence[str | None], n_errors: int) -> None:
        at = next(n for n, reason in enumerate(reasons) if reason is not None)
        failed = f"row {first_row + at} (counted from 0) cannot be scored: {reasons[at]}".rstrip(".")
        if self._job.on_error == "stop":
            more = f"; {n_errors - 1} more of the {len(reasons)} rows in its batch failed" * (n_errors > 1)
            raise BulkError(
                f"{failed}{more}; use --on-error column to score the other rows and write the reasons to a "
                "column named error"
            )
        if first_row == 0 and len(reasons) == n_errors >= HOPELESS_ROWS:
            raise BulkError(f"none of the first {n_errors} rows can be scored; {failed}")


def _first_line(error: ModelaneError) -> str:
    """Return the first line of an error; estimators may add advice that is not for the caller."""
    return next(iter(str(error).splitlines()), type(error).__name__)
