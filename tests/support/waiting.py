"""Waiting for something to happen: one loop for all tests, with a deadline and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds until a process on a busy machine has started, or something has happened.
DEADLINE_S = 60.0


def eventually(
    question: Callable[[], T], what: str, deadline_s: float = DEADLINE_S, *, poll_s: float = 0.02
) -> T:
    """Call ``question`` until its answer is true, and return that answer.

    Args:
        what: what the test waits for; the message of the failure names it.
    """
    give_up_s = time.monotonic() + deadline_s
    while not (answer := question()):
        assert time.monotonic() < give_up_s, f"{what}: not within {deadline_s:g} s"
        time.sleep(poll_s)
    return answer
