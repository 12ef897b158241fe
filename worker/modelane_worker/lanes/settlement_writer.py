"""Write settlements to Redis: repeatedly while it is unavailable, in pieces if they are large.

A result that was computed is not thrown away because Redis restarts, and a result that Redis cannot hold does
not keep the rest of its batch from being stored.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import redis

from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerRefused, BrokerUnavailable

logger = logging.getLogger(__name__)

#: Bytes of results in one script call; Redis does nothing else while it runs.
MAX_BYTES = 32 * 2**20
#: The smallest limit that a Redis can have for one value (``proto-max-bulk-len``): a smaller value always
#: fits.
FITS_BYTES = 2**20
#: Times that Redis may fail to take one settlement while it takes other commands.
TRIES = 3
#: Seconds between two tries.
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Written:
    """Positions of the settlements that were not stored as they are.

    Attributes:
        fenced: the lease was lost; the result of another worker counts.
        refused: Redis refuses the result; the message returns when its lease expires.
        too_large: Redis did not take the result, so that the caller gets an error instead.
    """

    fenced: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    too_large: set[int] = field(default_factory=set)


class SettlementWriter:
    """Writes the settlements of one lane, in the lane's thread.

    Args:
        queue: of the lane.
        wait: waits this many seconds; returns True if the lane stops and must not wait any longer.
    """

    def __init__(self, queue: LeasedQueue, wait: Callable[[float], bool]) -> None:
        self._queue = queue
        self._wait = wait

    def write(self, settlements: Sequence[Settlement], too_large: Callable[[int], Settlement]) -> Written:
        """Store and publish all of them.

        Args:
            settlements: one for each lease.
            too_large: returns, for a position, what to store if Redis does not take the result.

        Raises:
            BrokerUnavailable: Redis is unavailable and the lane stops; the leases expire.
        """
        written, current, in_doubt = Written(), [*settlements], set[int]()
        todo, tries = deque(_pieces(current)), 0
        while todo:
            piece = todo.popleft()
            try:
                ignored = self._queue.settle([current[position] for position in piece])
                written.fenced.update(self._fenced([piece[n] for n in ignored], current, in_doubt))
                tries = 0
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.warning(
                    "%s: %d results are not stored yet, retrying: %s",
                    self._queue.keys.queue,
                    len(piece),
                    exc,
                    extra={"event": "settle_waits", "n": len(piece)},
                )
                if self._wait(RETRY_S):
                    raise
                in_doubt.update(piece)
                if self._is_transient(exc):
                    todo.appendleft(piece)
                elif len(piece) > 1:  # Redis takes other commands: one of these results may be the reason
                    middle = len(piece) // 2
                    todo.extendleft((piece[middle:], piece[:middle]))
                elif (tries := tries + 1) < TRIES or piece[0] in written.too_large:
                    todo.appendleft(piece)
                elif len(current[piece[0]].value) > FITS_BYTES:
                    written.too_large.add(piece[0])
                    current[piece[0]] = too_large(piece[0])
                    todo.appendleft(piece)
                elif isinstance(exc, BrokerRefused):
                    written.refused.add(piece[0])
                    tries = 0  # the next settlement gets its own tries
                else:
                    todo.appendleft(piece)
        return written

    def _fenced(self, ignored: list[int], current: list[Settlement], in_doubt: set[int]) -> Iterator[int]:
        """Leave out the ignored settlements that are ours: stored by a call whose reply was lost."""
        doubtful = [position for position in ignored if position in in_doubt]
        stored = self._queue.stored([current[position].id for position in doubtful]) if doubtful else []
        ours = {
            position
            for position, value in zip(doubtful, stored, strict=True)
            if not current[position].ttl_s or value == current[position].value
        }
        return (position for position in ignored if position not in ours)

    def _is_transient(self, error: BrokerUnavailable | BrokerRefused) -> bool:
        """Whether Redis is down, loading, full or a replica, as opposed to refusing this one command."""
        if isinstance(error, BrokerRefused):
            return False
        if isinstance(error.__cause__, redis.ResponseError):
            return True
        try:
            self._queue.depth()
        except (BrokerUnavailable, BrokerRefused):
            return True
        return False


def _pieces(settlements: Sequence[Settlement]) -> Iterator[list[int]]:
    """Yield positions in pieces of at most ``MAX_BYTES``; a larger settlement is a piece by itself."""
    piece: list[int] = []
    n_bytes = 0
    for position, settlement in enumerate(settlements):
        n_bytes += len(settlement.value)
        if piece and n_bytes > MAX_BYTES:
            yield piece
            piece, n_bytes = [], len(settlement.value)
        piece.append(position)
    if piece:
        yield piece
