"""Report rows whose class may be wrong: they contradict each other, or a forest disagrees with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from modelane_training.dataset.row_locations import count_rows
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.preparation.data_profile import Finding
from modelane_worker.registry.card import Task

#: A row is doubtful if the trees that were not fitted on it give its own class a smaller probability than the
#: first number, and another class a larger one than the second.
DOUBTED, SURE = 0.05, 0.9

#: The forest sees an even sample of the rows, and the first columns.
MAX_ROWS = 2_000
MAX_COLUMNS = 200

#: If any class has fewer rows in the sample, no row is called doubtful.
MIN_CLASS_ROWS = 10


def find(table: Table, task: Task) -> Iterator[Finding]:
    """Yield a finding for contradicting rows and one for doubtful rows; nothing for a regression."""
    if task == "regression":
        return
    contradicting = _contradicting(table)
    if len(contradicting):
        number, where = count_rows(len(contradicting)), table.where(contradicting)
        yield Finding("contradictions", f"{number} equal to others except for the target: {where}")
    doubtful = _doubtful(table)
    if len(doubtful):
        number, where = count_rows(len(doubtful)), table.where(doubtful)
        yield Finding("doubtful targets", f"{number} may have the wrong class: {where}")


def _contradicting(table: Table) -> NDArray[np.intp]:
    if not table.features:
        return np.empty(0, dtype=np.intp)
    equal_rows = pd.Series(table.targets).groupby(stable_hash.hashes_of_rows(table.rows))
    return np.flatnonzero(equal_rows.transform("nunique").to_numpy() > 1)


def _doubtful(table: Table) -> NDArray[np.intp]:
    index = np.unique(np.linspace(0, len(table) - 1, min(len(table), MAX_ROWS)).astype(np.intp))
    _, class_of_row, counts = np.unique(table.targets[index], return_inverse=True, return_counts=True)
    if counts.min() < MIN_CLASS_ROWS or not table.features:
        return np.empty(0, dtype=np.intp)
    columns = [_ordered(table.rows.iloc[index, at]) for at in range(min(len(table.features), MAX_COLUMNS))]
    forest = RandomForestClassifier(50, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(np.column_stack(columns).astype(np.float32), class_of_row)
    probabilities = forest.oob_decision_function_
    own_class = probabilities[np.arange(len(index)), class_of_row]
    doubtful: NDArray[np.intp] = index[(own_class < DOUBTED) & (probabilities.max(axis=1) > SURE)]
    return doubtful


def _ordered(values: pd.Series[object]) -> NDArray[np.float64]:
    """Return numbers that a tree can split: the frequency of a string, the rank of a number or a date."""
    ordered = values.map(values.value_counts()) if values.dtype == object else values.rank()
    numbers: NDArray[np.float64] = ordered.to_numpy(dtype=np.float64)
    return numbers
