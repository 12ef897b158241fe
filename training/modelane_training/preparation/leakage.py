"""Find columns that give the target away.

A column that is filled in only after the event that is to be predicted, such as a cancellation date or a
final price, makes a model that is perfect in every test and useless in service. So a small model predicts the
target from each column alone, on rows that it was not fitted on: a column that predicts it almost perfectly
is a leak far more often than a discovery. The limits leave room for easy data: in scikit-learn's own data
sets, the best single column reaches 0.96.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelane.data.features import ColumnType
from modelane_training.dataset.table import Table
from modelane_worker.registry.card import Task

#: A column is a leak from this mean recall of the classes on, or this R² of the targets' ranks.
MIN_RECALL = 0.995
MIN_R2 = 0.999

#: With fewer rows or columns a perfect column is reported, but not refused: it may be chance, or an exercise.
MIN_ROWS = 200
MIN_COLUMNS = 2

#: The rows that are used, evenly over the table and balanced over the classes as far as possible; classes
#: with fewer rows than the second number do not count.
MAX_ROWS = 2_000
MIN_CLASS_ROWS = 5


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that gives the target away."""

    column: str
    score: float  #: mean recall of the classes, or R² of the targets' ranks

    def strength(self, task: Task) -> str:
        """Return how well the column predicts the target: ``recall 100.0%`` or ``R² 0.9995``."""
        return f"recall {self.score:.1%}" if task == "classification" else f"R² {self.score:.4f}"

    def message(self, task: Task) -> str:
        """Return a sentence for people."""
        return (
            f"column {self.column!r} gives the target away: "
            f"a model of this column alone predicts unseen rows with {self.strength(task)}"
        )


def find(table: Table, task: Task) -> list[Leak]:
    """Return the columns that give the target away, the strongest first."""
    index = _sample(table, task)
    halves = np.random.default_rng(0).permutation(len(index)) % 2 == 0
    targets = table.targets[index]
    leaks = []
    for number, feature in enumerate(table.features):
        values = table.rows.iloc[index, number]
        inputs = _codes(values) if feature.type is ColumnType.STRING else _ranks(values)
        score_of = _recall if task == "classification" else _r2
        score = score_of(inputs, targets, halves, strings=feature.type is ColumnType.STRING)
        if score >= (MIN_RECALL if task == "classification" else MIN_R2):
            leaks.append(Leak(feature.name, score))
    return sorted(leaks, key=lambda leak: -leak.score)


def _sample(table: Table, task: Task) -> NDArray[np.intp]:
    everywhere = np.arange(len(table))
    if task == "regression":
        return _evenly(everywhere, MAX_ROWS)
    classes, class_of_row, counts = np.unique(table.targets, return_inverse=True, return_counts=True)
    # Find the largest number of rows per class with which all classes together stay below MAX_ROWS.
    sizes = np.sort(counts)
    left = MAX_ROWS
    for n_classes, size in zip(range(len(sizes), 0, -1), sizes, strict=True):
        most = max(left // n_classes, MIN_CLASS_ROWS)
        left -= min(int(size), most)
    chosen = [_evenly(everywhere[class_of_row == number], most) for number in range(len(classes))]
    return np.sort(np.concatenate(chosen))


def _evenly(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    chosen = np.linspace(0, len(index) - 1, min(len(index), n)).astype(np.intp)
    return index[np.unique(chosen)]


def _codes(values: pd.Series[Any]) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = pd.factorize(values, use_na_sentinel=False)[0]
    return codes


def _ranks(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return ranks, which a tree splits as it splits numbers and dates of any size; missing ones stay NaN."""
    ranks: NDArray[np.float64] = values.rank().to_numpy(dtype=np.float64)
    return ranks


def _recall(
    inputs: NDArray[Any], targets: NDArray[Any], halves: NDArray[np.bool_], *, strings: bool
) -> float:
    """Return the mean recall of the classes, each half predicted by a model of the other half."""
    predicted = np.empty_like(targets)
    for fitted in (halves, ~halves):
        if strings:
            predicted[~fitted] = _majorities(inputs[fitted], targets[fitted], inputs[~fitted])
        else:
            tree = DecisionTreeClassifier(max_leaf_nodes=64, random_state=0)
            tree.fit(inputs[fitted, None], targets[fitted])
            predicted[~fitted] = tree.predict(inputs[~fitted, None])
    classes, counts = np.unique(targets, return_counts=True)
    recalls = [
        float((predicted[targets == name] == name).mean())
        for name, count in zip(classes, counts, strict=True)
        if count >= MIN_CLASS_ROWS
    ]
    return float(np.mean(recalls)) if len(recalls) > 1 else 0.0


def _majorities(strings: NDArray[Any], targets: NDArray[Any], unseen: NDArray[Any]) -> NDArray[Any]:
    """Predict the most frequent class of each string; of a new string, the most frequent class of all."""
    counts = pd.DataFrame({"string": strings, "target": targets}).value_counts().reset_index()
    best = counts.drop_duplicates("string").set_index("string")["target"]
    predicted: NDArray[Any] = pd.Series(unseen).map(best).fillna(pd.Series(targets).mode()[0]).to_numpy()
    return predicted


def _r2(inputs: NDArray[Any], targets: NDArray[Any], halves: NDArray[np.bool_], *, strings: bool) -> float:
    """Return R² of the targets' ranks, so that neither the scale nor an outlier decides."""
    ranks = _ranks(pd.Series(targets))
    predicted = np.empty(len(ranks))
    for fitted in (halves, ~halves):
        if strings:
            means = pd.Series(ranks[fitted]).groupby(inputs[fitted]).mean()
            predicted[~fitted] = pd.Series(inputs[~fitted]).map(means).fillna(ranks[fitted].mean()).to_numpy()
        else:
            tree = DecisionTreeRegressor(random_state=0)
            tree.fit(inputs[fitted, None], ranks[fitted])
            predicted[~fitted] = tree.predict(inputs[~fitted, None])
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    score = 1 - float(((predicted - ranks) ** 2).sum()) / spread if spread else 0.0
    if strings or np.isnan(inputs).any() or inputs.std() == 0:
        return score
    return max(score, float(np.corrcoef(inputs, ranks)[0, 1] ** 2))
