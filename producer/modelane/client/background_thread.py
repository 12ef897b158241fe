"""The client's own threads.

Futures complete in these threads, and so their callbacks run there. A callback that waited for another answer
would block the thread that has to deliver it, so waiting is refused there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelane.errors import ModelaneError


class BackgroundThread(threading.Thread):
    """A daemon thread: it does not keep the process alive."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        super().__init__(target=run, name=name, daemon=True)


def check_may_wait() -> None:
    """Check that the current thread may wait for an answer.

    Raises:
        ModelaneError: it is one of the client's own threads.
    """
    if isinstance(threading.current_thread(), BackgroundThread):
        raise ModelaneError(
            "callbacks run in a thread of the client and must not wait for another answer: "
            "add a callback to the other prediction too, or wait in a thread of your own"
        )
