"""Batches of a file through a lane: as many rows out as in, in their order.  typed → RUN → parts.

A batch that the model refuses is halved until its bad rows stand alone: they get a reason, their neighbours
their answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelane.bulk.casting import typed
from modelane.bulk.readers.base import FAULT
from modelane.client.answer import Answer
from modelane.data.prediction_columns import named_columns
from modelane.errors import BadInput, BulkError, Buried, ModelaneError, PredictionFailed, TooLarge

#: Column of the output that says why a row has no answer.
ERROR = "error"

#: Requests in flight while a batch is searched for its bad rows: halves, quarters, … single rows.
SEARCH_WINDOW = 256

#: Rows at the beginning of a file of which none is answered, before the rest is not even tried.
HOPELESS_ROWS = 100

#: What is about the rows of one request, and goes away with them.
_ABOUT_ROWS = (BadInput, PredictionFailed, TooLarge)

Outcome = Answer | ModelaneError


class Lane(Protocol):
    """Where rows are answered."""

    def answers(self, batches: Iterable[Any], window: int) -> Iterator[Outcome]:
        """One outcome a batch, in their order; batches are read as the window moves on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is done to each batch.

    Attributes:
        features: name → dtype, as on the card.
        blank_is_missing: whether an empty text is a missing value.
        keep: columns of the input to carry along.
        version: that has to answer.
        method: that is asked.
        classes: of the model.
        window: batches in flight.
        stop_at_errors: whether the first row without an answer ends the run.
    """

    features: dict[str, str]
    blank_is_missing: bool
    keep: tuple[str, ...]
    version: str
    method: str
    classes: tuple[Any, ...] | None
    window: int
    stop_at_errors: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A batch on its way.

    Attributes:
        kept: the columns that are carried along.
        rows: of the model's columns, those rows that can be sent.
        faults: of all rows: why one cannot be sent; missing where it can.
    """

    first_row: int
    kept: pa.RecordBatch
    rows: pa.RecordBatch
    faults: pa.Array


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of the output; its last column is :data:`ERROR`."""

    batch: pa.RecordBatch
    n_errors: int


def scored(task: Task, lane: Lane, batches: Iterable[pa.RecordBatch], first_row: int) -> Iterator[Scored]:
    """The rows of ``batches`` with what the model says of them.

    Args:
        task: what is done.
        lane: that answers.
        batches: with the columns of the model, those to keep, and :data:`FAULT`.
        first_row: number of the first row, for sentences.

    Raises:
        BulkError: a row has no answer, and errors stop the run; or no row of a large first batch has one.
        ModelaneError: that is not about rows, such as no answer in time.
    """
    on_their_way: deque[_Piece] = deque()

    def to_send() -> Iterator[Any]:
        row = first_row
        for batch in batches:
            piece = _piece(task, batch, row)
            row += len(batch)
            on_their_way.append(piece)
            if len(piece.rows):
                yield as_rows(piece.rows)

    for outcome in lane.answers(to_send(), task.window):
        while not len(on_their_way[0].rows):
            yield _finished(task, on_their_way.popleft(), {}, {})
        piece = on_their_way.popleft()
        values, errors = _found(task, lane, piece, outcome)
        yield _finished(task, piece, values, errors)
    while on_their_way:
        yield _finished(task, on_their_way.popleft(), {}, {})


def as_rows(batch: pa.RecordBatch) -> Any:
    """As the client takes them: an array if all are numbers."""
    if all(pa.types.is_float64(kind) for kind in batch.schema.types):
        rows = np.empty((len(batch), batch.num_columns))
        for n, array in enumerate(batch.columns):
            rows[:, n] = array.to_numpy(zero_copy_only=False)  # missing: NaN
        return rows
    return batch


def columns_of(task: Task, kept: Iterable[pa.Field]) -> pa.Schema:
    """Columns of an output without rows, as far as they can be known."""
    n_classes = len(task.classes or ())
    shape = (0,) if task.method == "predict" or not n_classes else (0, n_classes)
    outputs = named_columns(np.empty(shape), task.method, task.classes)
    fields = [pa.field(name, pa.from_numpy_dtype(values.dtype)) for name, values in outputs.items()]
    return pa.schema([*kept, *fields, pa.field(ERROR, pa.string())])


def _piece(task: Task, batch: pa.RecordBatch, first_row: int) -> _Piece:
    rows, faults = typed(batch, task.features, blank_is_missing=task.blank_is_missing)
    unread = batch.column(FAULT)
    if unread.null_count < len(unread):
        faults = pc.coalesce(unread, faults)
    if faults.null_count < len(faults):
        rows = rows.filter(faults.is_null())
    return _Piece(first_row, batch.select(task.keep), rows, faults)


def _found(
    task: Task, lane: Lane, piece: _Piece, outcome: Outcome
) -> tuple[dict[int, NDArray[Any]], dict[int, str]]:
    """Answers by the first row of theirs, and reasons by the row that they are of; rows as they were sent."""
    values: dict[int, NDArray[Any]] = {}
    errors: dict[int, str] = {}
    spans, outcomes = [(0, len(piece.rows))], iter([outcome])
    while spans:
        halves = []
        for (first, end), found in zip(spans, outcomes, strict=True):
            if isinstance(found, Answer):
                _check_version(task, found)
                values[first] = found.values
            elif isinstance(found, Buried):  # it ended workers: nobody looks for the row that did it
                errors |= dict.fromkeys(range(first, end), _reason(found))
            elif not isinstance(found, _ABOUT_ROWS):
                raise found
            elif end - first == 1:
                errors[first] = _reason(found)
            else:
                middle = (first + end) // 2
                halves += [(first, middle), (middle, end)]
        spans = halves
        outcomes = lane.answers(
            (as_rows(piece.rows.slice(first, end - first)) for first, end in halves), SEARCH_WINDOW
        )
    return values, errors


def _finished(task: Task, piece: _Piece, values: dict[int, NDArray[Any]], errors: dict[int, str]) -> Scored:
    """The piece's rows of the output."""
    reasons = piece.faults.to_pylist() if piece.faults.null_count < len(piece.faults) else None
    if errors:
        sent = np.flatnonzero(piece.faults.is_null().to_numpy(zero_copy_only=False))
        reasons = reasons or [None] * len(piece.faults)
        for row, reason in errors.items():
            reasons[sent[row]] = reason
    n_errors = sum(reason is not None for reason in reasons or ())
    is_hopeless = piece.first_row == 0 and len(piece.faults) == n_errors >= HOPELESS_ROWS
    if n_errors and (task.stop_at_errors or is_hopeless):
        raise _stopped(task, piece, reasons or [])
    error = pa.array(reasons, pa.string()) if reasons else pa.nulls(len(piece.faults), pa.string())
    outputs = _outputs(task, values, error)
    batch = pa.RecordBatch.from_arrays(
        [*piece.kept.columns, *outputs.values(), error], names=[*piece.kept.schema.names, *outputs, ERROR]
    )
    return Scored(batch, n_errors)


def _outputs(task: Task, values: dict[int, NDArray[Any]], error: pa.Array) -> dict[str, pa.Array]:
    """A column of answers each, missing where a row has none."""
    if not values:
        return {}
    ordered = [values[first] for first in sorted(values)]
    together = ordered[0] if len(ordered) == 1 else np.concatenate(ordered)
    columns = {
        name: pa.array(array) for name, array in named_columns(together, task.method, task.classes).items()
    }
    if error.null_count == len(error):
        return columns
    has_answer = error.is_null()
    where = pc.subtract(pc.cumulative_sum(has_answer.cast(pa.int64())), 1)
    index = pc.if_else(has_answer, where, pa.scalar(None, pa.int64()))
    return {name: array.take(index) for name, array in columns.items()}


def _reason(error: ModelaneError) -> str:
    """Its first line: a model's own errors may go on with advice to whoever trained it."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _check_version(task: Task, answer: Answer) -> None:
    if answer.version != task.version:
        raise BulkError(f"version {answer.version} answered, this run is of version {task.version}")


def _stopped(task: Task, piece: _Piece, reasons: Sequence[str | None]) -> BulkError:
    at = next(n for n, reason in enumerate(reasons) if reason is not None)
    more = sum(reason is not None for reason in reasons) - 1
    others = f", and {more} more of the {len(reasons)} rows around it" if more else ""
    remedy = "; --on-error column goes on, and says so in a column" if task.stop_at_errors else ""
    return BulkError(f"row {piece.first_row + at} (from 0): {reasons[at]}{others}{remedy}")
