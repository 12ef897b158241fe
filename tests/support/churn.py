"""The model that the worker serves, and input tables for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from modelane.data.features import Feature
from modelane.settings import Settings
from support import cards

MODEL = "churn"
COLUMNS = ("age", "visits", "balance")


@cache
def estimator(seed: int = 0) -> LogisticRegression:
    """Return a classifier that refuses missing values and answers `no` or `yes`."""
    rows = np.random.default_rng(seed).normal(size=(300, 3))
    return LogisticRegression().fit(rows, np.where(rows.sum(axis=1) > 0, "yes", "no"))


def publish(settings: Settings, *, seed: int = 0, model: Any = None) -> str:
    """Publish and promote another version; return it."""
    return cards.publish(
        settings,
        MODEL,
        model or estimator(seed),
        features=tuple(Feature(name, "float64") for name in COLUMNS),
        classes=("no", "yes"),
        example=(0.0, 0.0, 0.0),
    )


def table(n_rows: int, *, seed: int = 1) -> pa.Table:
    """Return customers: an id, a comment that no model needs, and the columns in another order."""
    numbers = np.random.default_rng(seed).normal(size=(n_rows, 3))
    return pa.table(
        {
            "customer": [f"00{n}" for n in range(n_rows)],
            "balance": numbers[:, 2],
            "comment": ["so, so"] * n_rows,
            "age": numbers[:, 0],
            "visits": numbers[:, 1],
        }
    )


def rows_of(customers: pa.Table) -> np.ndarray:
    return np.column_stack([customers[name].to_numpy() for name in COLUMNS])
