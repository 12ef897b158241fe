from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from modelane import Client
from testing.sides import MODELS, Fake, Real, Side


@pytest.fixture(scope="session")
def _side_fake() -> Iterator[Side]:
    with ExitStack() as ends:
        side = Fake(ends)
        for published in MODELS:
            side.publish(*published)
        yield side


@pytest.fixture(scope="session")
def _side_real(modelane_stack) -> Iterator[Side]:
    with ExitStack() as ends:
        side = Real(ends, modelane_stack)
        for published in MODELS:
            side.publish(*published)
        yield side


@pytest.fixture(params=["fake", "real"])
def side(request) -> Side:
    """A test with this fixture runs twice: on the fake, and on Redis with a worker."""
    return request.getfixturevalue(f"_side_{request.param}")


@pytest.fixture
def client(side) -> Iterator[Client]:
    client = side.client()
    yield client
    client.close(timeout_s=0.5)
