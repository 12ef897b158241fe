"""Cards for tests, and a publisher that runs in a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from modelane.data.features import Feature
from modelane_worker.registry.card import Card, DataFingerprint
from modelane_worker.registry.signing import SigningKey
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


def a_version(number: int) -> str:
    return new_version(NOW, number.to_bytes(4, "big"))


def a_card(version: str = "", *, model: str = "churn", **changes: object) -> Card:
    facts: dict[str, object] = {
        "model": model,
        "version": version or a_version(1),
        "created": NOW,
        "task": "classification",
        "target": "left",
        "features": (Feature("age", "float64"), Feature("visits", "float64")),
        "classes": (0, 1),
        "methods": ("predict", "predict_proba"),
        "metrics": {"accuracy": 0.9},
        "data": DataFingerprint(source="churn.csv", n_rows=100, sha256="00" * 32),
        "libraries": {"python": "3.11.7", "scikit-learn": "1.5.0", "numpy": "1.26.0"},
        "example": (41.0, 3.0),
    }
    return Card(**(facts | changes))


def publish_and_promote(root: Path, key_path: Path, number: int) -> str:
    store, version = Store(root), a_version(number)
    store.publish(a_card(version), {"model.joblib": bytes(100_000)}, SigningKey.load(key_path))
    store.promote("churn", version)
    return version
