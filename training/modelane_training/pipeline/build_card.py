"""Build what a run publishes: the card of a candidate, and the files of its estimator."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import msgspec
import pandas as pd

from modelane.errors import RecipeError
from modelane_training.dataset.table import Table
from modelane_training.evaluation.results import Evaluation
from modelane_training.recipe import Resolved
from modelane_training.recipe_errors import MODULE_PREFIX
from modelane_training.report.diagnostics import Diagnostics
from modelane_worker.registry import artifact
from modelane_worker.registry.artifact import Estimator
from modelane_worker.registry.card import METHODS, Card, DataFingerprint, Judgement, Scalar

#: Maximum characters of a parameter's value on the card.
MAX_PARAMETER = 200

#: Parameters that only hold the parts of a pipeline, whose own parameters are on the card.
_STRUCTURAL = ("steps", "memory", "verbose", "transformers", "n_jobs", "transform_input")


def build_card(  # noqa: PLR0913  # what a card consists of
    recipe: Resolved,
    estimator: Estimator,
    table: Table,
    files: Mapping[str, bytes],
    *,
    version: str,
    created: datetime,
    evaluation: Evaluation,
    diagnostics: Diagnostics | None,
    judgement: Judgement,
) -> Card:
    """Return the card of a fitted estimator.

    Args:
        recipe: with task and metric decided.
        estimator: fitted.
        table: all rows, including the hold-out.
        files: the result of :func:`pack`.
        version: the name of the version.
        created: the start of the run.
        evaluation: on the hold-out.
        diagnostics: what the report computes in addition; None without a report.
        judgement: of the gate.
    """
    classes = getattr(estimator, "classes_", None) if recipe.task == "classification" else None
    findings = {} if diagnostics is None else {"findings": msgspec.to_builtins(diagnostics)}
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
        evaluation=msgspec.to_builtins(evaluation) | findings,
    )


def _example(table: Table) -> tuple[Scalar, ...]:
    """Return the first row, with dates in ISO 8601 and None for missing values."""
    # Column by column: a row of several dtypes would hold NumPy scalars.
    values = [table.rows.iloc[:1, number].tolist()[0] for number in range(len(table.features))]
    return tuple(
        None if pd.isna(value) else value.isoformat() if isinstance(value, pd.Timestamp) else value
        for value in values
    )


def _parameters(estimator: Estimator) -> dict[str, str]:
    """Return scikit-learn's parameters of the estimator and its parts; nested estimators by class name."""
    get_params = getattr(estimator, "get_params", None)
    named = (
        {} if get_params is None else {n: v for n, v in get_params().items() if not n.endswith(_STRUCTURAL)}
    )
    return {"estimator": type(estimator).__name__} | {
        name: (type(value).__name__ if hasattr(value, "get_params") else repr(value))[:MAX_PARAMETER]
        for name, value in sorted(named.items())
    }


def pack(estimator: Estimator) -> dict[str, bytes]:
    """Return the files of a version, including the classes and functions that its recipe defines.

    Raises:
        RecipeError: the estimator cannot be pickled.
    """
    with suppress(RecipeError):
        content = artifact.dump(estimator)
        # A pickle contains the module name of each class and function that it needs.
        if MODULE_PREFIX.encode() not in content:
            return {artifact.MODEL_FILE: content}
    return {artifact.MODEL_FILE: artifact.dump_with_code(estimator)}


def _carries_code(files: Mapping[str, bytes]) -> bool:
    return MODULE_PREFIX.encode() in files[artifact.MODEL_FILE]
