"""Fixtures for pytest: a real Redis with a real worker, and a client of them.

    def test_my_service(modelane_stack):
        modelane_stack.publish("churn", estimator, example_rows)

pytest loads this module in every project where Modelane is installed, so it imports no heavy module before a
test uses a fixture.
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
    """A Redis server and a worker with an empty model store, for the whole test session.

    Needs ``modelane[worker,embedded]``, or ``modelane[worker]`` and a Redis server on PATH.
    """
    try:
        modelane_worker.require("worker,embedded")
    except ImportError as missing:
        pytest.fail(f"fixture modelane_stack: {missing}", pytrace=False)
    from modelane.errors import StackError  # noqa: PLC0415  # heavy, see the module docstring
    from modelane_worker.testing import Stack  # noqa: PLC0415

    stack = Stack()
    try:
        stack.__enter__()
    except StackError as error:
        pytest.fail(f"fixture modelane_stack: {error}", pytrace=False)
    try:
        yield stack
    finally:
        stack.__exit__()


@pytest.fixture
def modelane_client(modelane_stack: Stack) -> Iterator[Client]:
    """A client of ``modelane_stack``, closed when the test ends."""
    with modelane_stack.client() as client:
        yield client
