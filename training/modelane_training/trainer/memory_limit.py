"""Measure how much memory a run uses, with all processes that it has started, and how much it may use.

Reads the private memory of each process, resident or swapped out, from /proc. Memory that several processes
map, such as libraries and joblib's arrays, is not counted. Systems without /proc have no limit.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: Share of the memory of the machine, or of its container, that a run may use by default.
DEFAULT_SHARE = 0.8

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def limit_bytes(limit_mb: int) -> int:
    """Return the limit in bytes for a value of ``MODELANE_RETRAIN_LIMIT_MB``; 0 means ``DEFAULT_SHARE``."""
    return limit_mb * 2**20 if limit_mb else int(DEFAULT_SHARE * _machine_bytes())


def used_bytes(group: int) -> int:
    """Return the private memory of all processes of a process group, or 0 where it cannot be measured."""
    return sum(_process_bytes(entry) for entry in _processes() if _group_of(entry) == group)


def _machine_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # the file may hold "max" instead of a number
            total = min(total, int(path.read_text()))
    return total


def _processes() -> list[Path]:
    try:
        return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _group_of(process: Path) -> int:
    try:
        # The fields after the name, which may contain spaces and parentheses: state, parent, group.
        return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[2])
    except (OSError, ValueError, IndexError):
        return 0  # the process has ended


def _process_bytes(process: Path) -> int:
    try:
        lines = (process / "status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(facts[name].split()[0]) * 1024 for name in ("RssAnon", "VmSwap") if name in facts)
