"""The two tiers of the tests, and which tests share a process.

The default tier runs without the tests that are marked ``full``; ``pytest -m ""`` runs everything.
Each process of pytest-xdist has its own fixtures of the session (Redis, worker, trainer), so tests that
share a stack stay together: they are one group, and groups start in the order in which tests are collected.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parents[1]
COUNTS = pytest.StashKey[Counter[str]]()

#: Groups of folders and files whose tests share a stack; the slowest start first. Faults and kills keep both
#: cores busy and have deadlines, so they never run beside one another.
STACKS = {
    "retraining/test_kills.py": "faults",
    "faults": "faults",
    "stock": "shared stack",
    "acceptance": "shared stack",
    "bulk": "shared stack",
    "retraining": "shared trainer",
    "testing": "the plugin's stack",
    "examples": "the plugin's stack",
    "docs": "the plugin's stack",
}
ORDER = list(dict.fromkeys(STACKS.values()))


def group_of(nodeid: str) -> str:
    """Return the name of the group of tests that run in one process, in their order."""
    file = nodeid.partition("::")[0].removeprefix(f"{TESTS.name}/")
    for place in (file, file.partition("/")[0]):
        if place in STACKS:
            return STACKS[place]
    return file


def order_of(item: pytest.Item) -> int:
    """Return a number that sorts groups: those with processes first, in the order of ``STACKS``."""
    group = group_of(item.nodeid)
    return ORDER.index(group) if group in ORDER else len(ORDER)


class ByGroup(LoadScopeScheduling):
    """Give each process of xdist a whole group of tests at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def count_full(items: list[pytest.Item]) -> Counter[str]:
    """Return how many tests of each folder are in the full tier only."""
    return Counter(item.path.relative_to(TESTS).parts[0] for item in items if item.get_closest_marker("full"))


def last_line(counts: Counter[str]) -> str:
    """Return a line that says what the default tier leaves out, and how to run it."""
    folders = ", ".join(f"{folder} {n}" for folder, n in sorted(counts.items()))
    return f'the full tier adds {sum(counts.values())} tests ({folders}): uv run pytest -m ""'
