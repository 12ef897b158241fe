"""Ten data sets: five of scikit-learn's, and five generated ones with the difficulties of real data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane_training.dataset.table import Table
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import scikit_learn

_N = 4000


def _recipe(name: str, source: Callable[[str], Table], budget: Budget, **options: Any) -> Recipe:
    return Recipe(model=name, source=source, budget=budget, **options)


def recipes(budget: Budget) -> list[Recipe]:
    """Return one recipe per data set."""
    own = {
        "breast-cancer": ("breast_cancer", "roc_auc"),
        "wine": ("wine", "log_loss"),
        "digits": ("digits", "accuracy"),
        "iris": ("iris", "log_loss"),
        "diabetes": ("diabetes", "rmse"),
    }
    return [
        *(_recipe(name, scikit_learn(key), budget, metric=metric) for name, (key, metric) in own.items()),
        *(_recipe(name, lambda target, make=make: make(), budget, metric=metric)
          for name, (make, metric) in _GENERATED.items()),
    ]  # fmt: skip


def _missing() -> Table:
    """20 numbers; a fifth is missing, large ones more often, so that missing values carry information."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(_N, 20))
    signal = rows[:, :6] @ rng.normal(size=6) + rows[:, 6] * rows[:, 7] + np.abs(rows[:, 8])
    gone = rng.random(rows.shape) < 0.2 * (1 + (rows > 1))
    return Table.of(np.where(gone, np.nan, rows), _classes(rng, signal))


def _categories() -> Table:
    """Prices by district (200 categories), kind (6 categories), date and three numbers."""
    rng = np.random.default_rng(2)
    district, kind = rng.integers(0, 200, _N), rng.integers(0, 6, _N)
    size, age, noise = rng.lognormal(4, 0.4, _N), rng.uniform(0, 80, _N), rng.normal(size=_N)
    sold = np.datetime64("2019-01-01", "us") + rng.integers(0, 2000, _N) * np.timedelta64(1, "D")
    month = sold.astype("datetime64[M]").astype(int) % 12
    level = rng.normal(0, 0.3, 200)[district] + rng.normal(0, 0.2, 6)[kind] + 0.1 * np.sin(month / 2)
    price = np.exp(level + 0.8 * np.log(size) - 0.004 * age + 0.15 * rng.normal(size=_N))
    rows = pd.DataFrame(
        {
            "district": _names("district", district),
            "kind": _names("kind", kind),
            "size": size,
            "age": age,
            "noise": noise,
            "sold": sold,
        }
    )
    return Table.of(rows, price)


def _text() -> Table:
    """Complaints of 5 to 40 words: some, often rare ones, indicate the class; one number helps a little."""
    rng = np.random.default_rng(3)
    words = np.array([f"w{number:x}" for number in range(3000)], dtype=object)
    weight = np.where(rng.random(3000) < 0.1, rng.normal(0, 2, 3000), 0)
    share = 1 / np.arange(10, 3010)
    said = [rng.choice(3000, rng.integers(5, 40), p=share / share.sum()) for _ in range(_N)]
    number = rng.normal(size=_N)
    signal = np.array([weight[each].sum() for each in said]) + number
    rows = pd.DataFrame({"said": [" ".join(words[each]) for each in said], "number": number})
    return Table.of(rows, _classes(rng, signal))


def _imbalance() -> Table:
    """Two of a hundred rows belong to the positive class."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(3 * _N, 15))
    signal = 1.2 * rows[:, 0] + rows[:, 1] * rows[:, 2] + np.maximum(rows[:, 3], 0) ** 2
    signal += rng.logistic(0, 0.7, len(rows))
    return Table.of(rows, (signal > np.quantile(signal, 0.98)).astype(int))


def _drift() -> Table:
    """Rows over three years, with drift in features and target; the latest rows are held out."""
    rng = np.random.default_rng(5)
    when = np.sort(rng.uniform(0, 1, _N))
    rows = rng.normal(size=(_N, 12)) + np.outer(when, np.linspace(-1, 1, 12))
    turn = np.column_stack([np.cos(when), np.sin(when)])
    signal = (rows[:, :2] * turn).sum(1) + 0.7 * rows[:, 2] - 0.5 * np.abs(rows[:, 3])
    return Table.of(rows, _classes(rng, signal), times=when)


def _names(what: str, numbers: NDArray[Any]) -> NDArray[Any]:
    return np.array([f"{what} {number}" for number in numbers], dtype=object)


def _classes(rng: np.random.Generator, signal: NDArray[Any]) -> NDArray[Any]:
    """Return two classes that depend on a signal and on chance."""
    spread = signal - np.median(signal) + rng.logistic(0, 0.5 * signal.std(), len(signal))
    return np.where(spread > 0, "yes", "no")


_GENERATED: Mapping[str, tuple[Callable[[], Table], str]] = MappingProxyType(
    {
        "missing": (_missing, "roc_auc"),
        "categories": (_categories, "rmse"),
        "text": (_text, "roc_auc"),
        "imbalance": (_imbalance, "average_precision"),
        "drift": (_drift, "roc_auc"),
    }
)
