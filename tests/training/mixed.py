"""A realistic business table with every kind of column."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modelane_training.dataset.table import Table
from modelane_training.recipe import Budget, Recipe, Resolved

WORDS = ["late", "early", "broken", "cheap", "great", "parcel", "refund", "price", "colour", "never", "slow"]


def mixed(n_rows: int = 150, task: str = "classification", seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n_rows)
    plan = rng.choice(["basic", "plus", "pro"], n_rows).astype(object)
    joined = np.datetime64("2024-01-01T08:00", "us") + rng.integers(0, 10**8, n_rows) * np.timedelta64(1, "s")
    signal = age / 10 + 2 * (plan == "pro") + rng.normal(0, 0.3, n_rows)
    rows = pd.DataFrame(
        {
            "age": np.where(rng.random(n_rows) < 0.1, np.nan, age),
            "empty": np.full(n_rows, np.nan),
            "plan": np.where(rng.random(n_rows) < 0.1, np.nan, plan),
            "town": np.array([f"town {number}" for number in rng.integers(0, 40, n_rows)], dtype=object),
            "comment": np.array([" ".join(rng.choice(WORDS, 6)) for _ in range(n_rows)], dtype=object),
            "joined": np.where(rng.random(n_rows) < 0.1, np.datetime64("NaT"), joined),
        }
    )
    targets = signal if task == "regression" else np.where(signal > np.median(signal), "yes", "no")
    return Table.of(rows, targets)


def numbers(n_rows: int = 120, task: str = "classification") -> Table:
    """Return three columns, two of them informative; a search on this table is fast."""
    rows = np.random.default_rng(0).normal(size=(n_rows, 3))
    signal = rows[:, 0] + rows[:, 1] ** 2 + np.random.default_rng(1).normal(0, 0.5, n_rows)
    return Table.of(rows, signal if task == "regression" else np.where(signal > 1, "yes", "no"))


def decided(table: Table, **options) -> Resolved:
    """Return a recipe for a table, with few trials and a generous time limit."""
    options = {"budget": Budget(trials=5, minutes=30), **options}
    return Recipe(model="mixed", source=lambda target: table, **options).resolve(table)
