"""Build a card for an estimator from a few example rows, for tests that have no recipe.

Used by :mod:`modelane_worker.testkit.worker_stack` and :mod:`modelane_worker.testkit.in_process_worker`.
Needs nothing beyond the base install.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from modelane.data.features import ColumnType, Feature
from modelane.data.rows import to_rows
from modelane.data.tensor import Tensor
from modelane.errors import BadInput
from modelane_worker.registry.card import METHODS, Card, DataFingerprint, Scalar

#: The form of a date in a list of JSON values.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")

#: Values by column name; all columns have the same length.
Columns = Mapping[str, Sequence[Any]]


def card(
    model: str, estimator: Any, table: Columns, *, version: str, libraries: Mapping[str, str] | None = None
) -> Card:
    """Return a card that describes an estimator and the rows that it accepts.

    Args:
        model: name of the model.
        estimator: a fitted estimator.
        table: one or more example rows.
        version: the version's id.
        libraries: versions of the libraries that the estimator was fitted with, by name.

    Raises:
        BadInput: there is no row, or the estimator was fitted on another number of columns.
    """
    wanted = getattr(estimator, "n_features_in_", len(table))
    if len(table) != wanted:
        raise BadInput(f"{model} takes {wanted} features, these rows have {len(table)}")
    if not all(len(column) for column in table.values()):
        raise BadInput("there are no rows")
    # An estimator without column names was fitted on an array of numbers.
    is_numeric = hasattr(estimator, "n_features_in_") and names_of(estimator) is None
    classes = getattr(estimator, "classes_", None)
    return Card(
        model=model,
        version=version,
        created=datetime.now(UTC),
        task="regression" if classes is None else "classification",
        target="unknown",
        features=tuple(
            Feature(name, ColumnType.NUMBER if is_numeric else _type(values))
            for name, values in table.items()
        ),
        classes=None if classes is None else tuple(np.asarray(classes).tolist()),
        methods=tuple(name for name in METHODS if hasattr(estimator, name)),
        metrics={},
        data=DataFingerprint(source="a test", n_rows=0, sha256=""),
        libraries=dict(libraries or {}),
        example=tuple(_scalar(column[0]) for column in table.values()),
    )


def table_of(rows: Any, estimator: Any) -> Columns:
    """Return rows as columns.

    Args:
        rows: in any form that a client accepts.
        estimator: gives the order of the columns, and their names if the rows have none.

    Raises:
        BadInput: the rows are not a table.
    """
    body, columns, _ = to_rows(rows)
    return by_column(body, columns, names_of(estimator))


def names_of(estimator: Any) -> tuple[str, ...] | None:
    """Return the names of the columns that an estimator was fitted on; None: it was fitted on an array."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def by_column(body: Any, columns: Sequence[str] | None, names: Sequence[str] | None) -> Columns:
    """Return the rows of a request as columns.

    Args:
        body: the rows as :func:`modelane.data.rows.to_rows` returns them.
        columns: names that came with the rows, if any.
        names: the wanted order of the columns; also their names if the rows have none.

    Raises:
        BadInput: the rows differ in length, or the number of names does not fit.
    """
    table: dict[str, Any]
    if isinstance(body, Mapping):
        table = {name: _values(column) for name, column in body.items()}
    elif isinstance(body, list) and isinstance(body[0], dict):
        table = {name: [record.get(name) for record in body] for name in body[0]}
    else:
        across = body.array().T if isinstance(body, Tensor) else _transposed(body)
        named = columns or names or [f"x{position}" for position in range(len(across))]
        if len(named) != len(across):
            raise BadInput(f"the rows have {len(across)} columns, but {len(named)} names were given")
        table = dict(zip(named, across, strict=True))
    return {name: table[name] for name in names} if names and set(names) == set(table) else table


def _transposed(rows: Any) -> list[Any]:
    try:
        return list(zip(*rows, strict=True))
    except (TypeError, ValueError) as exc:
        raise BadInput("expected rows that are lists of the same length") from exc


def _values(column: Any) -> Any:
    return column.array() if isinstance(column, Tensor) else column


def _type(values: Sequence[Any]) -> ColumnType:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufM":
        return ColumnType.of_array(values.dtype)
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float | np.number) for value in known):
        return ColumnType.NUMBER
    is_dates = all(isinstance(value, str) and _DATE.fullmatch(value) for value in known)
    return ColumnType.DATE if is_dates else ColumnType.STRING


def _scalar(value: Any) -> Scalar:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
