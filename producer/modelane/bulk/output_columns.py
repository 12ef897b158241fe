"""The columns of the output: kept columns of the input, the answers, and why a row has no answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelane.data.prediction_columns import named_columns

#: Column that says why a row could not be scored.
ERROR = "error"

Classes = Sequence[Any] | None


def output_schema(method: str, classes: Classes, kept: Iterable[pa.Field]) -> pa.Schema:
    """Return the columns of an output without rows, as far as they are known before the first answer.

    Args:
        method: the method that is called.
        classes: of the model; None: it is not a classifier.
        kept: columns that are copied from the input.
    """
    n_classes = len(classes or ())
    shape = (0,) if method == "predict" or not n_classes else (0, n_classes)
    answers = named_columns(np.empty(shape), method, classes)
    fields = [pa.field(name, pa.from_numpy_dtype(values.dtype)) for name, values in answers.items()]
    return pa.schema([*kept, *fields, pa.field(ERROR, pa.string())])


def output_batch(
    kept: pa.RecordBatch,
    answers: Sequence[NDArray[Any]],
    reasons: Sequence[str | None] | None,
    *,
    method: str,
    classes: Classes,
) -> pa.RecordBatch:
    """Return rows of the output, in the order of the input.

    Args:
        kept: the columns that are copied, with all rows.
        answers: arrays of shape (n,) or (n, k) that together hold one answer per scored row, in order.
        reasons: for each row why it could not be scored, or None; None altogether: all rows were scored.
        method: the method that gave the answers.
        classes: of the model; None: it is not a classifier.
    """
    errors = pa.nulls(len(kept), pa.string()) if reasons is None else pa.array(reasons, pa.string())
    columns = _answer_columns(answers, errors, method, classes) if answers else {}
    return pa.RecordBatch.from_arrays(
        [*kept.columns, *columns.values(), errors], names=[*kept.schema.names, *columns, ERROR]
    )


def _answer_columns(
    answers: Sequence[NDArray[Any]], errors: pa.Array, method: str, classes: Classes
) -> dict[str, pa.Array]:
    together = answers[0] if len(answers) == 1 else np.concatenate(answers)
    columns = {name: pa.array(values) for name, values in named_columns(together, method, classes).items()}
    if errors.null_count == len(errors):
        return columns
    # Failed rows have no answer: spread the answers over the other rows.
    is_scored = errors.is_null()
    position = pc.subtract(pc.cumulative_sum(is_scored.cast(pa.int64())), 1)
    index = pc.if_else(is_scored, position, pa.scalar(None, pa.int64()))
    return {name: values.take(index) for name, values in columns.items()}
