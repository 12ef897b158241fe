"""Hints that targets are wrong.  clean → NOISE → finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from modelane_training.dataset.row_locations import counted
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.preparation.finding import Finding
from modelane_worker.registry.card import Task

#: A row is doubted if the trees that were not shown it give its class less than this, another one more.
DOUBTED, SURE = 0.05, 0.9

MAX_ROWS = 2_000
MAX_COLUMNS = 200
MIN_ROWS_A_CLASS = 10


def find(table: Table, task: Task) -> Iterator[Finding]:
    """Rows alike of different classes; rows whose class a forest is sure to be another."""
    if task == "regression":
        return
    contradicting = _contradicting(table)
    if len(contradicting):
        yield Finding(
            "contradictions",
            f"{counted(len(contradicting))} equal to others but for the target: {table.where(contradicting)}",
        )
    doubted = _doubted(table)
    if len(doubted):
        words = f"{counted(len(doubted))} perhaps mislabelled: {table.where(doubted)}"
        yield Finding("doubtful targets", words)


def _contradicting(table: Table) -> NDArray[np.intp]:
    if not table.features:
        return np.empty(0, dtype=np.intp)
    alike = pd.Series(table.targets).groupby(stable_hash.hashes_of_rows(table.rows))
    return np.flatnonzero(alike.transform("nunique").to_numpy() > 1)


def _doubted(table: Table) -> NDArray[np.intp]:
    index = np.unique(np.linspace(0, len(table) - 1, min(len(table), MAX_ROWS)).astype(np.intp))
    targets = table.targets[index]
    _, of_row, counts = np.unique(targets, return_inverse=True, return_counts=True)
    if counts.min() < MIN_ROWS_A_CLASS or not table.features:
        return np.empty(0, dtype=np.intp)
    columns = [_ordered(table.rows.iloc[index, at]) for at in range(min(len(table.features), MAX_COLUMNS))]
    forest = RandomForestClassifier(50, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(np.column_stack(columns).astype(np.float32), of_row)
    shares = forest.oob_decision_function_
    given = shares[np.arange(len(index)), of_row]
    doubted: NDArray[np.intp] = index[(given < DOUBTED) & (shares.max(axis=1) > SURE)]
    return doubted


def _ordered(values: pd.Series[object]) -> NDArray[np.float64]:
    """A column as numbers that a tree can cut: words by their frequency, dates by their time."""
    ordered = values.map(values.value_counts()) if values.dtype == object else values.rank()
    numbers: NDArray[np.float64] = ordered.to_numpy(dtype=np.float64)
    return numbers
