"""The last puts of an outbox, kept because a Redis that is killed may restart without them.

With ``appendfsync everysec`` Redis loses up to two seconds before it was killed, however long it is down. So
messages are kept while their answer is awaited; those with an answer are dropped, which limits the buffer to
little more than the requests in flight.
"""

from __future__ import annotations

from collections import deque

import msgspec

from modelane.client.transport.backlog import Outgoing, n_bytes
from modelane.keys import PUT_TTL_S

#: Seconds and bytes that are kept. Redis remembers the token of a put for ``PUT_TTL_S``, and within that time
#: a repeat is harmless.
KEPT_S = PUT_TTL_S / 2
KEPT_BYTES = 64 * 2**20

#: Seconds after which most requests have been answered, and seconds between two checks which ones have.
ANSWERED_AFTER_S = 0.5
CHECK_S = 5.0


class Put(msgspec.Struct):
    """Messages that Redis accepted together."""

    at_s: float
    token: str
    run: list[Outgoing]
    n_bytes: int
    checked_s: float = 0.0  #: when messages with an answer were removed from the run


class ResendBuffer:
    """Puts that may have to be repeated; for one thread."""

    def __init__(self) -> None:
        self._new: deque[Put] = deque()
        self._checked: deque[Put] = deque()  # without the messages that had an answer, longest ago first
        self._n_bytes = 0

    def add(self, put: Put) -> None:
        """Keep a put; drop what is too old, answered, or beyond the limit of bytes."""
        self._new.append(put)
        self._n_bytes += put.n_bytes
        while self._checked and self._checked[0].checked_s < put.at_s - CHECK_S:
            self._check(self._checked.popleft(), put.at_s)
        while self._new and self._new[0].at_s < put.at_s - ANSWERED_AFTER_S:
            self._check(self._new.popleft(), put.at_s)
        while self._n_bytes > KEPT_BYTES:
            self._n_bytes -= (self._checked or self._new).popleft().n_bytes

    def take(self) -> list[Put]:
        """Remove and return all puts, oldest first."""
        puts = sorted([*self._checked, *self._new], key=lambda put: put.at_s)
        self._checked.clear()
        self._new.clear()
        self._n_bytes = 0
        return puts

    def _check(self, put: Put, now_s: float) -> None:
        self._n_bytes -= put.n_bytes
        if put.at_s < now_s - KEPT_S:
            return
        put.run = [outgoing for outgoing in put.run if not outgoing.prediction.done()]
        put.n_bytes = n_bytes(put.run)
        put.checked_s = now_s
        if put.run:
            self._n_bytes += put.n_bytes
            self._checked.append(put)
