"""One seed for everything in an estimator that draws lots.  recipe, plan → SEEDS."""

from __future__ import annotations

from typing import TypeVar

from sklearn.base import BaseEstimator

E = TypeVar("E", bound=BaseEstimator)


def seeded(estimator: E, seed: int) -> E:
    """The same estimator with every ``random_state`` that was left open."""
    state = seed % 2**32
    left_open = {
        name: state
        for name, value in estimator.get_params().items()
        if name.endswith("random_state") and value is None
    }
    estimator.set_params(**left_open)
    return estimator
