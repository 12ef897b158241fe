"""A model that misbehaves on special rows: they crash, hang or delay the process that predicts."""

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

#: Orders, as the first number of a row; it is never negative in the real data.
ABORT, SEGFAULT, HANG, HANG_WITH_GIL, SLOW = -1.0, -2.0, -3.0, -4.0, -5.0

#: Seconds per predict: long enough that most faults hit a batch in flight, and that the load stays moderate.
PREDICT_S = 0.03
#: Seconds per predict if a row orders ``SLOW``: longer than a worker needs to open its next lane.
SLOW_S = 5.0


def rows() -> NDArray[np.float64]:
    table: NDArray[np.float64] = load_breast_cancer().data
    return table


class Frail:
    """A tree that predicts the number of a row, so that an answer for another row is always wrong."""

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
    """Return one row that gives an order."""
    row = rows()[:1].copy()
    row[0, 0] = order
    return row


def publish(settings: Settings, model: str = MODEL) -> None:
    """Publish a :class:`Frail` as the champion of a new model."""
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
