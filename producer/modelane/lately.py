"""What an outbox has put in the last seconds: a Redis that is killed may come back without it.

With ``appendfsync everysec`` that is the last second or two.  What has its outcome is let go after a moment,
so that little more is held than what is in flight.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

import msgspec

#: Seconds and bytes that are remembered.
REMEMBERED_S = 5.0
REMEMBERED_BYTES = 64 * 2**20
#: Seconds after which most have been answered.
ANSWERED_AFTER_S = 0.5


class Sent(Protocol):
    @property
    def n_bytes(self) -> int: ...

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        ...


S = TypeVar("S", bound=Sent)


class Put(msgspec.Struct, Generic[S]):
    """A put that Redis has taken."""

    at_s: float
    token: str
    run: list[S]
    n_bytes: int


class Lately(Generic[S]):
    """Puts, oldest first.  For one thread."""

    def __init__(self) -> None:
        self._new: deque[Put[S]] = deque()
        self._old: deque[Put[S]] = deque()  # of these, only what is still waited for
        self._n_bytes = 0

    def add(self, put: Put[S]) -> None:
        """Remember it, and forget what is old, or too much."""
        self._new.append(put)
        self._n_bytes += put.n_bytes
        while self._new and self._new[0].at_s < put.at_s - ANSWERED_AFTER_S:
            self._age(self._new.popleft())
        while self._old and self._old[0].at_s < put.at_s - REMEMBERED_S:
            self._n_bytes -= self._old.popleft().n_bytes
        while self._n_bytes > REMEMBERED_BYTES:
            self._n_bytes -= (self._old or self._new).popleft().n_bytes

    def take(self) -> list[Put[S]]:
        """All of them; none is remembered any more."""
        lately = [*self._old, *self._new]
        self._old.clear()
        self._new.clear()
        self._n_bytes = 0
        return lately

    def _age(self, put: Put[S]) -> None:
        before = put.n_bytes
        put.run = [sent for sent in put.run if not sent.is_over]
        put.n_bytes = sum(sent.n_bytes for sent in put.run)
        self._n_bytes -= before - put.n_bytes
        if put.run:
            self._old.append(put)
