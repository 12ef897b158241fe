"""Put a candidate on record: its card and its bytes.  gate → PUBLISH → store."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import pandas as pd

from modelane.errors import RecipeError
from modelane_training.dataset.table import Table
from modelane_training.evaluation.results import Evaluation
from modelane_training.recipe import MODULE_PREFIX, Resolved
from modelane_training.report.findings import Findings
from modelane_worker.registry import artifact
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import METHODS, Card, DataFingerprint, Judgement, Scalar

#: Characters of a parameter's value: enough to tell two apart, not a table of its own.
MAX_PARAMETER = 200

#: What a pipeline is made of stands under its parts' own names.
_PLUMBING = ("steps", "memory", "verbose", "transformers", "n_jobs", "transform_input")


def build_card(  # noqa: PLR0913  # what a card is made of
    recipe: Resolved,
    estimator: Estimator,
    table: Table,
    files: Mapping[str, bytes],
    *,
    version: str,
    created: datetime,
    evaluation: Evaluation,
    findings: Findings | None,
    judgement: Judgement,
) -> Card:
    """Describe a fitted estimator.

    Args:
        table: all rows, hold-out included.
        files: what :func:`pack` has made.
        evaluation: on the hold-out.
        findings: what else the report says; None if there is none.
        judgement: the gate's.
    """
    classes = getattr(estimator, "classes_", None) if recipe.task == "classification" else None
    return Card(
        model=recipe.model,
        version=version,
        created=created,
        task=recipe.task,
        target=recipe.target,
        features=table.features,
        classes=None if classes is None else tuple(classes.tolist()),
        methods=tuple(name for name in METHODS if hasattr(estimator, name)),
        metrics=evaluation.scores.metrics,
        parameters=_parameters(estimator),
        judgement=judgement,
        data=DataFingerprint(source=table.source, n_rows=len(table), sha256=table.sha256()),
        libraries=artifact.libraries(with_code=_carries_code(files)),
        example=_example(table),
        evaluation=msgspec.to_builtins(evaluation) | _findings(findings),
    )


def _findings(findings: Findings | None) -> dict[str, Any]:
    return {} if findings is None else {"findings": msgspec.to_builtins(findings)}


def _example(table: Table) -> tuple[Scalar, ...]:
    """The first row; a date as ISO 8601, None where a value is missing."""
    # Column by column: a row of several dtypes would hold NumPy's scalars.
    values = [table.rows.iloc[:1, place].tolist()[0] for place in range(len(table.features))]
    return tuple(
        None if pd.isna(value) else value.isoformat() if isinstance(value, pd.Timestamp) else value
        for value in values
    )


def _parameters(estimator: Estimator) -> dict[str, str]:
    """scikit-learn's parameters of it and its parts; an estimator is told by its class."""
    get_params = getattr(estimator, "get_params", None)
    named = {} if get_params is None else {n: v for n, v in get_params().items() if not n.endswith(_PLUMBING)}
    return {"estimator": type(estimator).__name__} | {
        name: (type(value).__name__ if hasattr(value, "get_params") else repr(value))[:MAX_PARAMETER]
        for name, value in sorted(named.items())
    }


def pack(estimator: Estimator) -> dict[str, bytes]:
    """The files of a version; classes and functions that its recipe defines are carried along.

    Raises:
        RecipeError: it cannot be saved.
    """
    with suppress(RecipeError):
        content = artifact.dump(estimator)
        # A pickle names the module of each class and function that it needs.
        if MODULE_PREFIX.encode() not in content:
            return {artifact.MODEL_FILE: content}
    return {artifact.MODEL_FILE: artifact.dump_with_code(estimator)}


def _carries_code(files: Mapping[str, bytes]) -> bool:
    return MODULE_PREFIX.encode() in files[artifact.MODEL_FILE]
