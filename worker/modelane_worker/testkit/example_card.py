"""A card for an estimator that no recipe has made, from a few rows: for tests.

estimator, rows → IMPROVISED → engine, store.  Needs nothing beyond the base install.
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

#: How a date travels in a list.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")

Columns = Mapping[str, Sequence[Any]]


def card(
    model: str, estimator: Any, table: Columns, *, version: str, libraries: Mapping[str, str] | None = None
) -> Card:
    """Describe an estimator by what it has, and by rows that it takes.

    Args:
        model: its name.
        estimator: fitted.
        table: one or more rows.
        version: its id.
        libraries: that it was made with.

    Raises:
        BadInput: there is no row, or the estimator was fitted on more or fewer columns.
    """
    wanted = getattr(estimator, "n_features_in_", len(table))
    if len(table) != wanted:
        raise BadInput(f"{model} takes {wanted} features, these rows have {len(table)}")
    if not all(len(column) for column in table.values()):
        raise BadInput("there are no rows")
    # Fitted on an array: of numbers, for it knows no names.
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
    """Rows in whatever form a client takes them, as columns.

    Raises:
        BadInput: they are no table.
    """
    body, columns, _ = to_rows(rows)
    return by_column(body, columns, names_of(estimator))


def names_of(estimator: Any) -> tuple[str, ...] | None:
    """Names of the columns that it was fitted on, if it knows them."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def by_column(body: Any, columns: Sequence[str] | None, names: Sequence[str] | None) -> Columns:
    """Rows in the form in which they travel, as columns.

    Args:
        body: what :func:`modelane.data.rows.to_rows` gives.
        columns: their names, where the rows came with some.
        names: in which order to have them; where rows have no names, these are theirs.

    Raises:
        BadInput: the rows are of several widths.
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
            raise BadInput(f"these rows have {len(across)} columns, {len(named)} names came with them")
        table = dict(zip(named, across, strict=True))
    return {name: table[name] for name in names} if names and set(names) == set(table) else table


def _transposed(rows: Any) -> list[Any]:
    try:
        return list(zip(*rows, strict=True))
    except (TypeError, ValueError) as exc:
        raise BadInput("rows must be lists of one width") from exc


def _values(column: Any) -> Any:
    return column.array() if isinstance(column, Tensor) else column


def _type(values: Sequence[Any]) -> ColumnType:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufM":
        return ColumnType.of_array(values.dtype)
    told = [value for value in values if value is not None]
    if all(isinstance(value, int | float | np.number) for value in told):
        return ColumnType.NUMBER
    is_dates = all(isinstance(value, str) and _MOMENT.fullmatch(value) for value in told)
    return ColumnType.DATE if is_dates else ColumnType.STRING


def _scalar(value: Any) -> Scalar:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
