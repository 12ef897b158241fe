"""Columns that give the target away.  clean → LEAKS.

A column that is filled in after what is to be predicted has happened (a date of cancellation, a final
price) makes a model that is perfect in every test and useless in service.  So each column is asked by
itself, on rows that it was not shown: what tells the target (nearly) always is a leak far more often
than it is a discovery.  The limits leave room for easy data: of scikit-learn's own sets the best
single column reaches 0.96.
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

#: Mean share of each class that is told right, or R² of ranks, from which on a column tells too much.
MIN_RECALL = 0.995
MIN_R2 = 0.999

#: With fewer rows, or next to no other column, a perfect column can be chance, or an exercise.
MIN_ROWS = 200
MIN_COLUMNS = 2

#: Rows that are looked at, of each class as many as there may be, evenly over the table; and rows of a class
#: without which it is not judged.
MAX_ROWS = 2_000
MIN_ROWS_A_CLASS = 5


@dataclass(frozen=True, slots=True)
class Leak:
    column: str
    score: float

    def told(self, task: Task) -> str:
        return f"{self.score:.1%} of it" if task == "classification" else f"R² {self.score:.4f}"

    def words(self, task: Task) -> str:
        told = f"alone it tells {self.told(task)} on rows not shown to it"
        return f"column {self.column!r} gives the target away: {told}"


def find(table: Table, task: Task) -> list[Leak]:
    """Each column that tells the target, the most telling first."""
    index = _looked_at(table, task)
    halves = np.random.default_rng(0).permutation(len(index)) % 2 == 0
    targets = table.targets[index]
    leaks = []
    for number, feature in enumerate(table.features):
        values = table.rows.iloc[index, number]
        inputs = _codes(values) if feature.type is ColumnType.STRING else _ranks(values)
        telling = _recall if task == "classification" else _r2
        score = telling(inputs, targets, halves, words=feature.type is ColumnType.STRING)
        if score >= (MIN_RECALL if task == "classification" else MIN_R2):
            leaks.append(Leak(feature.name, score))
    return sorted(leaks, key=lambda leak: -leak.score)


def _looked_at(table: Table, task: Task) -> NDArray[np.intp]:
    everywhere = np.arange(len(table))
    if task == "regression":
        return _evenly(everywhere, MAX_ROWS)
    classes, of_row, counts = np.unique(table.targets, return_inverse=True, return_counts=True)
    # The largest number of rows a class with which all of them are not too many.
    sizes = np.sort(counts)
    left = MAX_ROWS
    for n_classes, size in zip(range(len(sizes), 0, -1), sizes, strict=True):
        most = max(left // n_classes, MIN_ROWS_A_CLASS)
        left -= min(int(size), most)
    chosen = [_evenly(everywhere[of_row == place], most) for place in range(len(classes))]
    return np.sort(np.concatenate(chosen))


def _evenly(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    places = np.linspace(0, len(index) - 1, min(len(index), n)).astype(np.intp)
    return index[np.unique(places)]


def _codes(values: pd.Series[Any]) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = pd.factorize(values, use_na_sentinel=False)[0]
    return codes


def _ranks(values: pd.Series[Any]) -> NDArray[np.float64]:
    """A tree cuts ranks where it cuts numbers and dates, however large these are; missing ones stay NaN."""
    ranks: NDArray[np.float64] = values.rank().to_numpy(dtype=np.float64)
    return ranks


def _recall(inputs: NDArray[Any], targets: NDArray[Any], halves: NDArray[np.bool_], *, words: bool) -> float:
    answers = np.empty_like(targets)
    for shown in (halves, ~halves):
        if words:
            answers[~shown] = _majorities(inputs[shown], targets[shown], inputs[~shown])
        else:
            tree = DecisionTreeClassifier(max_leaf_nodes=64, random_state=0)
            tree.fit(inputs[shown, None], targets[shown])
            answers[~shown] = tree.predict(inputs[~shown, None])
    classes, counts = np.unique(targets, return_counts=True)
    recalls = [
        float((answers[targets == name] == name).mean())
        for name, count in zip(classes, counts, strict=True)
        if count >= MIN_ROWS_A_CLASS
    ]
    return float(np.mean(recalls)) if len(recalls) > 1 else 0.0


def _majorities(shown: NDArray[Any], targets: NDArray[Any], asked: NDArray[Any]) -> NDArray[Any]:
    """The class that most rows of the same word have; the most frequent one for words not seen."""
    counts = pd.DataFrame({"word": shown, "target": targets}).value_counts().reset_index()
    best = counts.drop_duplicates("word").set_index("word")["target"]
    answers: NDArray[Any] = pd.Series(asked).map(best).fillna(pd.Series(targets).mode()[0]).to_numpy()
    return answers


def _r2(inputs: NDArray[Any], targets: NDArray[Any], halves: NDArray[np.bool_], *, words: bool) -> float:
    """Of the targets' ranks, so that neither their scale nor a far one decides."""
    ranks = _ranks(pd.Series(targets))
    guesses = np.empty(len(ranks))
    for shown in (halves, ~halves):
        if words:
            means = pd.Series(ranks[shown]).groupby(inputs[shown]).mean()
            guesses[~shown] = pd.Series(inputs[~shown]).map(means).fillna(ranks[shown].mean()).to_numpy()
        else:
            tree = DecisionTreeRegressor(random_state=0)
            tree.fit(inputs[shown, None], ranks[shown])
            guesses[~shown] = tree.predict(inputs[~shown, None])
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    told = 1 - float(((guesses - ranks) ** 2).sum()) / spread if spread else 0.0
    if words or np.isnan(inputs).any() or inputs.std() == 0:
        return told
    return max(told, float(np.corrcoef(inputs, ranks)[0, 1] ** 2))
