"""One real stack for all examples, each run as its docstring says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from sklearn.ensemble import RandomForestClassifier

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Messages that may wait in a lane of the services.
MAX_DEPTH = 200


@pytest.fixture(scope="session")
def customers() -> np.ndarray:
    """Rows with the columns age and visits."""
    rng = np.random.default_rng(11)
    return np.column_stack([rng.integers(18, 90, 300), rng.poisson(3, 300)]).astype(float)


@pytest.fixture(scope="session")
def churn(customers) -> RandomForestClassifier:
    return RandomForestClassifier(10, random_state=0).fit(
        customers, np.where(customers[:, 1] > 2, "stays", "leaves")
    )


@pytest.fixture(scope="session")
def version(modelane_stack, churn) -> str:
    return modelane_stack.publish("churn", churn, [{"age": 41.0, "visits": 3.0}])


@pytest.fixture
def environment(modelane_stack, version, monkeypatch) -> Iterator[None]:
    """Set the environment variables that the examples read."""
    for name, value in modelane_stack.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODELANE_MAX_DEPTH", str(MAX_DEPTH))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    with redis.Redis.from_url(modelane_stack.url) as connection:
        connection.delete("modelane.predict.nobody")


@pytest.fixture
def records(customers) -> list[dict[str, float]]:
    return [{"age": age, "visits": visits} for age, visits in customers[:20].tolist()]
