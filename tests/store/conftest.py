"""A real store with real signatures; the artifacts are bytes that are never loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store
from support.cards import a_card, a_version


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create(tmp_path / "keys/signing.pem", tmp_path / "keys/trusted.pem")


@pytest.fixture
def trusted(key: SigningKey, tmp_path: Path) -> TrustedKeys:
    return TrustedKeys.load(tmp_path / "keys/trusted.pem")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def publish(store: Store, key: SigningKey) -> Callable[..., str]:
    """Publish version ``number`` of ``churn``; its artifact contains the number."""

    def publish(number: int = 1, *, model: str = "churn", key: SigningKey = key) -> str:
        card = a_card(a_version(number), model=model)
        return store.publish(card, {"model.joblib": f"artifact {number}".encode()}, key)

    return publish
