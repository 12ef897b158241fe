"""The models to serve: a forest of 100 trees, and a free model, which shows the cost of everything else."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from modelane.data.features import ColumnType, Feature
from modelane.settings import Settings
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card, DataFingerprint
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version

METHOD = "predict_proba"

Rows = NDArray[np.float64]


class Free:
    """A model that returns its first two columns."""

    def predict_proba(self, rows: NDArray[Any]) -> NDArray[Any]:
        answers: NDArray[Any] = rows[:, :2]
        return answers


@cache
def rows() -> Rows:
    """Return the rows from which all requests are taken, shape (569, 30)."""
    table: Rows = load_breast_cancer().data
    return table


@cache
def forest() -> RandomForestClassifier:
    return RandomForestClassifier(100, random_state=0).fit(*load_breast_cancer(return_X_y=True))


def publish(settings: Settings, **estimators: object) -> None:
    """Publish estimators to a new model store and promote them; the keyword is the name of the model."""
    key = SigningKey.create(settings.signing_key_path, settings.trusted_keys_path)
    store = Store(settings.store_path)
    for model, estimator in estimators.items():
        card = _card(model, getattr(estimator, "n_features_in_", rows().shape[1]))
        store.publish(card, {artifact.MODEL_FILE: artifact.dump(estimator)}, key)
        store.promote(model, card.version)


def load(settings: Settings) -> dict[str, Any]:
    """Load the champions of all models: name to estimator."""
    store, trusted = Store(settings.store_path), TrustedKeys.load(settings.trusted_keys_path)
    return {
        model: artifact.load(store.read(model, store.resolve(model), trusted)) for model in store.models()
    }


def _card(model: str, n_features: int) -> Card:
    now = datetime.now(UTC)
    return Card(
        model=model,
        version=new_version(now, b"\0\0\0\0"),
        created=now,
        task="classification",
        target="benign",
        features=tuple(Feature(f"x{number}", ColumnType.NUMBER) for number in range(n_features)),
        classes=(0, 1),
        methods=(METHOD,),
        metrics={},
        data=DataFingerprint(source="scikit-learn's breast-cancer data", n_rows=len(rows()), sha256=""),
        libraries=artifact.libraries(),
        example=tuple(rows()[0, :n_features].tolist()),
    )
