"""The threads of a client, in which its futures end: what waited there would keep its own answer away."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelane.errors import ModelaneError


class OwnThread(threading.Thread):
    """Ends with the process."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        super().__init__(target=run, name=name, daemon=True)


def check_may_wait() -> None:
    """Raises :class:`ModelaneError`: this is such a thread."""
    if isinstance(threading.current_thread(), OwnThread):
        raise ModelaneError(
            "callbacks run in a thread of the client, which must not wait for another answer: "
            "add a callback to that one, too, or wait in a thread of your own"
        )
