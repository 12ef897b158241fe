"""Which processes run."""

from __future__ import annotations

import time

import psutil

DEADLINE_S = 20


def descendants(pid: int) -> dict[int, str]:
    """Process id → command of everything that ``pid`` has started, directly or not."""
    return {child.pid: " ".join(child.cmdline()) for child in psutil.Process(pid).children(recursive=True)}


def assert_gone(pid: int) -> None:
    """Within the deadline; one that its new parent has not reaped yet is gone, too."""
    give_up_at = time.monotonic() + DEADLINE_S
    while _runs(pid):
        assert time.monotonic() < give_up_at, f"process {pid} still runs"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
