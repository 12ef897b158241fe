"""Cards for tests, and functions that publish a fitted estimator without a training run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelane.data.features import Feature
from modelane.settings import Settings
from modelane_worker.registry import artifact
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


def publish(settings: Settings, model: str, estimator: Any, **changes: object) -> str:
    """Publish and promote a fitted estimator; return the version."""
    now = datetime.now(UTC)
    card = a_card(
        new_version(now, os.urandom(4)), model=model, created=now, libraries=artifact.libraries(), **changes
    )
    path = settings.signing_key_path
    key = SigningKey.load(path) if path.exists() else SigningKey.create(path, settings.trusted_keys_path)
    store = Store(settings.store_path)
    store.publish(card, {artifact.MODEL_FILE: artifact.dump(estimator)}, key)
    store.promote(model, card.version)
    return card.version


def publish_and_promote(root: Path, key_path: Path, number: int) -> str:
    """Publish a version whose artifact is never loaded; for tests that publish in several processes."""
    store, version = Store(root), a_version(number)
    store.publish(a_card(version), {artifact.MODEL_FILE: bytes(100_000)}, SigningKey.load(key_path))
    store.promote("churn", version)
    return version
