"""How much memory a run takes, with all that it has started, and how much it may.

Read from /proc: what is private to each process, swapped out or not.  What several map together (joblib's
arrays, libraries) is not counted once for each of them.  Other systems than Linux say nothing; there a run
has no limit.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: Share of a machine, or of its container, that a run may take if the setting leaves it open.
DEFAULT_SHARE = 0.8

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def limit_bytes(limit_mb: int) -> int:
    """What ``MODELANE_RETRAIN_LIMIT_MB`` allows; 0 is a share of what there is."""
    return limit_mb * 2**20 if limit_mb else int(DEFAULT_SHARE * _machine_bytes())


def used_bytes(group: int) -> int:
    """What the processes of a process group take together; 0 where nobody says."""
    return sum(_process_bytes(entry) for entry in _processes() if _group_of(entry) == group)


def _machine_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # "max" is no number
            total = min(total, int(path.read_text()))
    return total


def _processes() -> list[Path]:
    try:
        return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _group_of(process: Path) -> int:
    try:
        # After the name, which may hold anything: state, parent, group.
        return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[2])
    except (OSError, ValueError, IndexError):
        return 0  # it has ended


def _process_bytes(process: Path) -> int:
    try:
        lines = (process / "status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(facts[name].split()[0]) * 1024 for name in ("RssAnon", "VmSwap") if name in facts)
