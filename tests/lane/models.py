"""Small real models with their cards, and messages for them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from sklearn.linear_model import LogisticRegression

from modelane.data.features import Feature
from modelane_worker.inference.engine import Engine
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card, DataFingerprint
from modelane_worker.registry.version_id import new_version

RNG = np.random.default_rng(7)
ROWS = RNG.normal(size=(60, 3))
TARGETS = np.where(ROWS[:, 0] + ROWS[:, 1] > 0, "stays", "leaves")


def a_card(version: str = "", **changes: object) -> Card:
    facts: dict[str, object] = {
        "model": "churn",
        "version": version or new_version(datetime(2026, 11, 22, tzinfo=UTC), b"\0\0\0\1"),
        "created": datetime(2026, 11, 22, tzinfo=UTC),
        "task": "classification",
        "target": "left",
        "features": tuple(Feature(name, "float64") for name in ("age", "visits", "spend")),
        "classes": ("leaves", "stays"),
        "methods": ("predict", "predict_proba"),
        "metrics": {},
        "data": DataFingerprint(source="made up", n_rows=60, sha256=""),
        "libraries": artifact.libraries(),
        "example": (1.0, 2.0, 3.0),
    }
    return Card(**(facts | changes))


def a_classifier(flip: bool = False) -> LogisticRegression:
    return LogisticRegression().fit(ROWS, TARGETS[::-1] if flip else TARGETS)


def an_engine() -> Engine:
    return Engine(a_card(), a_classifier())
