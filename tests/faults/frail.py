"""A model that does as its rows tell it: most are answered, some end the process that computes them."""

from __future__ import annotations

import ctypes
import os
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeRegressor

from modelane.data.features import Feature
from modelane.settings import Settings
from support import cards

MODEL = "frail"

#: What the first number of a row may say; no true row has a negative one.
ABORT, SEGFAULT, HANG, HANG_WITH_GIL, SLOW = -1.0, -2.0, -3.0, -4.0, -5.0

#: Seconds that a predict takes: most faults then meet a batch in flight, and the load stays modest.
PREDICT_S = 0.03
#: The same, if a row asks for it: longer than a worker needs to open its next lane.
SLOW_S = 5.0


def rows() -> NDArray[np.float64]:
    table: NDArray[np.float64] = load_breast_cancer().data
    return table


class Frail:
    """A tree that has learnt each row's own number, so that a mixed-up answer is always a wrong one."""

    def __init__(self) -> None:
        self._tree = DecisionTreeRegressor().fit(rows(), np.arange(len(rows())))

    def predict(self, batch: NDArray[np.float64]) -> NDArray[np.float64]:
        orders = set(batch[:, 0])
        if ABORT in orders:
            os.abort()
        if SEGFAULT in orders:
            ctypes.string_at(0)
        if HANG in orders:
            time.sleep(3600)
        if HANG_WITH_GIL in orders:
            ctypes.PyDLL(None).sleep(3600)
        if SLOW in orders:
            time.sleep(SLOW_S)
        time.sleep(PREDICT_S)
        answers: NDArray[np.float64] = self._tree.predict(batch)
        return answers


def telling(order: float) -> NDArray[np.float64]:
    """One row that gives an order."""
    row = rows()[:1].copy()
    row[0, 0] = order
    return row


def publish(settings: Settings, model: str = MODEL) -> None:
    """Make it the champion of a model that is new in the store."""
    cards.publish(
        settings,
        model,
        Frail(),
        task="regression",
        features=tuple(Feature(f"x{number}", "float64") for number in range(rows().shape[1])),
        classes=(),
        methods=("predict",),
        example=tuple(rows()[0].tolist()),
    )
