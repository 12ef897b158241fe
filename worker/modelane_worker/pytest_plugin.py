"""Fixtures for pytest: a real stack, and a client of it.  There with Modelane, idle until asked for.

    def test_my_service(modelane_stack):
        modelane_stack.publish("churn", estimator, example_rows)

pytest imports this module whenever it starts, so it imports nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import modelane_worker

if TYPE_CHECKING:
    from modelane.client import Client
    from modelane_worker.testing import Stack


@pytest.fixture(scope="session")
def modelane_stack() -> Iterator[Stack]:
    """A Redis and a worker with an empty store, for the whole run: publish models, then call them.

    Needs ``modelane[worker,embedded]``; with a Redis server on PATH, ``modelane[worker]``.
    """
    try:
        modelane_worker.require("worker,embedded")
    except ImportError as missing:
        pytest.fail(f"the fixture modelane_stack: {missing}", pytrace=False)
    from modelane.errors import StackError  # noqa: PLC0415  # see above
    from modelane_worker.testing import Stack  # noqa: PLC0415

    stack = Stack()
    try:
        stack.__enter__()
    except StackError as error:
        pytest.fail(f"the fixture modelane_stack: {error}", pytrace=False)
    try:
        yield stack
    finally:
        stack.__exit__()


@pytest.fixture
def modelane_client(modelane_stack: Stack) -> Iterator[Client]:
    """A client of ``modelane_stack``, closed when the test ends."""
    with modelane_stack.client() as client:
        yield client
