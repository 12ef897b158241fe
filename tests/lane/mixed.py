"""A small real model of numbers, text and dates, with its card."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lane.models import a_card
from modelane.data.features import Feature
from modelane_worker.inference.engine import Engine
from modelane_worker.inference.feature_frame import frame
from modelane_worker.registry.card import Card

FEATURES = (
    Feature("city", "str"),
    Feature("age", "float64"),
    Feature("since", "datetime64[us]"),
    Feature("plan", "str"),
    Feature("spend", "float64"),
)
NAMES = tuple(feature.name for feature in FEATURES)
CITIES, PLANS = ("Oslo", "Rome", "Æ"), ("free", "paid")


def days(dates: pd.DataFrame) -> pd.DataFrame:
    return (dates - pd.Timestamp("2020-01-01")).apply(lambda column: column.dt.days / 1000)


def rows(n: int, seed: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "city": rng.choice([*CITIES, None], n),
        "age": rng.integers(18, 80, n).astype(float),
        "since": np.datetime64("2020-01-01", "us") + rng.integers(0, 2000, n).astype("m8[D]"),
        "plan": rng.choice(PLANS, n),
        "spend": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 20, n)),
    }
    return frame(columns, FEATURES)


def an_estimator() -> Pipeline:
    """Accepts a missing city or spend, but not a missing age, date or plan, nor an unknown plan."""
    data = rows(300)
    targets = np.where(data["age"] + 40 * (data["plan"] == "paid") > 60, "stays", "leaves")
    prepared = ColumnTransformer(
        [
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("plan", OneHotEncoder(), ["plan"]),
            ("date", FunctionTransformer(days), ["since"]),
            ("spend", make_pipeline(SimpleImputer(), StandardScaler()), ["spend"]),
            ("age", FunctionTransformer(lambda ages: ages / 50), ["age"]),
        ]
    )
    return make_pipeline(prepared, LogisticRegression()).fit(data, targets)


def a_mixed_card(**changes: object) -> Card:
    example = ("Oslo", 41.0, "2024-02-29T12:00:00", "free", None)
    return a_card(**{"features": FEATURES, "example": example} | changes)


def an_engine() -> Engine:
    return Engine(a_mixed_card(), an_estimator())
