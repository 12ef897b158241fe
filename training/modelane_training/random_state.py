"""Make estimators reproducible: set the random states that they leave open."""

from __future__ import annotations

from typing import TypeVar

from sklearn.base import BaseEstimator

E = TypeVar("E", bound=BaseEstimator)


def set_random_state(estimator: E, seed: int) -> E:
    """Set every ``random_state`` that is None, in the estimator and its parts, and return the estimator.

    Args:
        estimator: an unfitted estimator or pipeline; it is changed.
        seed: any whole number; scikit-learn gets it modulo 2**32.
    """
    state = seed % 2**32
    left_open = {
        name: state
        for name, value in estimator.get_params().items()
        if name.endswith("random_state") and value is None
    }
    estimator.set_params(**left_open)
    return estimator
