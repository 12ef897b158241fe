"""The two tiers of the tests, and which tests share a process.

The default tier runs without the tests that are marked ``full``; ``pytest -m ""`` runs everything.
Each process of pytest-xdist has its own fixtures of the session (Redis, worker, trainer), so tests that
share a stack stay together: they are one group, and groups start in the order in which tests are collected.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COUNTS = pytest.StashKey[Counter[str]]()

#: Folders whose tests share one stack each, and files of the same kind; what takes longest starts first.
STACKS = {
    "retraining/test_kills.py": "killed retrainings",
    "faults/test_poison.py": "faults 1",
    "faults/test_workers.py": "faults 2",
    "faults": "faults 3",
    "stock": "shared stack",
    "acceptance": "shared stack",
    "bulk": "shared stack",
    "retraining": "shared trainer",
    "testing": "the plugin's stack",
    "examples": "the plugin's stack",
    "docs": "the plugin's stack",
}


def group_of(item: pytest.Item) -> str:
    """Return the name of the group of tests that run in one process, in their order."""
    path = item.path.relative_to(TESTS)
    for place in (str(path), path.parts[0]):
        if place in STACKS:
            return STACKS[place]
    return str(path)


def order_of(item: pytest.Item) -> int:
    """Return a number that sorts groups: those with processes first, in the order of ``STACKS``."""
    names = list(dict.fromkeys(STACKS.values()))
    group = group_of(item)
    return names.index(group) if group in names else len(names)


def count_full(items: list[pytest.Item]) -> Counter[str]:
    """Return how many tests of each folder are in the full tier only."""
    return Counter(item.path.relative_to(TESTS).parts[0] for item in items if item.get_closest_marker("full"))


def last_line(counts: Counter[str]) -> str:
    """Say what the default tier leaves out, and how to run it."""
    folders = ", ".join(f"{folder} {n}" for folder, n in sorted(counts.items()))
    return f'the full tier adds {sum(counts.values())} tests ({folders}): uv run pytest -m ""'
