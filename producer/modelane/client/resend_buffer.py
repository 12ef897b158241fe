"""What an outbox has put before: a Redis that is killed may come back without it.

With ``appendfsync everysec`` that is the last second or two before it was killed, however long it is away.
So what is waited for is remembered; what has its outcome is let go, so that little more is held than what is
in flight.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

import msgspec

from modelane.keys import PUT_TTL_S

#: Seconds and bytes that are remembered: a put may be repeated as long as Redis keeps its mark.
REMEMBERED_S = PUT_TTL_S / 2
REMEMBERED_BYTES = 64 * 2**20
#: Seconds after which most have been answered, and until it is looked again which have.
ANSWERED_AFTER_S = 0.5
LOOK_S = 5.0


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
    looked_s: float = 0.0  #: when those that have their outcome were taken out of it


class Lately(Generic[S]):
    """For one thread."""

    def __init__(self) -> None:
        self._new: deque[Put[S]] = deque()
        # Of these, only what is still waited for; looked at longest ago first.
        self._old: deque[Put[S]] = deque()
        self._n_bytes = 0

    def add(self, put: Put[S]) -> None:
        """Remember it, and forget what is old, or too much."""
        self._new.append(put)
        self._n_bytes += put.n_bytes
        while self._old and self._old[0].looked_s < put.at_s - LOOK_S:
            self._look(self._old.popleft(), put.at_s)
        while self._new and self._new[0].at_s < put.at_s - ANSWERED_AFTER_S:
            self._look(self._new.popleft(), put.at_s)
        while self._n_bytes > REMEMBERED_BYTES:
            self._n_bytes -= (self._old or self._new).popleft().n_bytes

    def take(self) -> list[Put[S]]:
        """All of them, oldest first; none is remembered any more."""
        lately = sorted([*self._old, *self._new], key=lambda put: put.at_s)
        self._old.clear()
        self._new.clear()
        self._n_bytes = 0
        return lately

    def _look(self, put: Put[S], now_s: float) -> None:
        self._n_bytes -= put.n_bytes
        if put.at_s < now_s - REMEMBERED_S:
            return
        put.run = [sent for sent in put.run if not sent.is_over]
        put.n_bytes = sum(sent.n_bytes for sent in put.run)
        put.looked_s = now_s
        if put.run:
            self._n_bytes += put.n_bytes
            self._old.append(put)
