"""How the outcomes of a batch get into Redis: again and again while it is away, in pieces if they are large.

lane → SETTLING → queue.settle.  An answer that has been computed is not thrown away because Redis restarts,
and one that Redis cannot hold does not keep its neighbours from theirs.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import redis

from modelane.broker.leased_queue import LeasedQueue, Settlement
from modelane.errors import BrokerRefused, BrokerUnavailable

logger = logging.getLogger(__name__)

#: Bytes of answers in one step of Redis, which does nothing else meanwhile.
MAX_BYTES = 32 * 2**20
#: The smallest limit that a Redis can have for a value (``proto-max-bulk-len``): what is smaller always fits.
FITS_BYTES = 2**20
#: Times that Redis may fail to take one outcome while it takes other commands.
TRIES = 3
#: Seconds between two tries.
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Settled:
    """Positions of what did not end as it was said.

    Attributes:
        fenced: their lease was lost: another worker's answer stands, or will.
        refused: Redis takes no answer of theirs; they come back with their lease, when an operator has acted.
        too_large: Redis did not take the answer, and the caller was told so.
    """

    fenced: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    too_large: set[int] = field(default_factory=set)


class Settling:
    """Of one lane, whose thread calls it.

    Args:
        queue: the lane's.
        wait: waits so many seconds; True if the lane shall not wait any longer.
    """

    def __init__(self, queue: LeasedQueue, wait: Callable[[float], bool]) -> None:
        self._queue = queue
        self._wait = wait

    def settle(self, settlements: Sequence[Settlement], too_large: Callable[[int], Settlement]) -> Settled:
        """Store and publish them all.

        Args:
            settlements: one a lease.
            too_large: gives, for a position, what its caller is told if Redis does not take the answer.

        Raises:
            BrokerUnavailable: Redis is away, and the lane ends; leases return by themselves.
        """
        settled, outcomes, unheard = Settled(), [*settlements], set[int]()
        todo, tries = deque(_pieces(outcomes)), 0
        while todo:
            piece = todo.popleft()
            try:
                ignored = self._queue.settle([outcomes[position] for position in piece])
                settled.fenced.update(self._of_others([piece[n] for n in ignored], outcomes, unheard))
                tries = 0
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.warning(
                    "%s: %s", self._queue.keys.queue, exc, extra={"event": "settle_waits", "n": len(piece)}
                )
                if self._wait(RETRY_S):
                    raise
                unheard.update(piece)
                if self._passes(exc):
                    todo.appendleft(piece)
                elif len(piece) > 1:  # it takes other commands: one of these may be why it does not take them
                    middle = len(piece) // 2
                    todo.extendleft((piece[middle:], piece[:middle]))
                elif (tries := tries + 1) < TRIES or piece[0] in settled.too_large:
                    todo.appendleft(piece)
                elif len(outcomes[piece[0]].value) > FITS_BYTES:
                    settled.too_large.add(piece[0])
                    outcomes[piece[0]] = too_large(piece[0])
                    todo.appendleft(piece)
                elif isinstance(exc, BrokerRefused):
                    settled.refused.add(piece[0])
                    tries = 0  # the next one has its own
                else:
                    todo.appendleft(piece)
        return settled

    def _of_others(self, ignored: list[int], outcomes: list[Settlement], unheard: set[int]) -> Iterator[int]:
        """Without those that were ours all the same: stored by a settle whose reply was lost."""
        in_doubt = [position for position in ignored if position in unheard]
        stored = self._queue.stored([outcomes[position].id for position in in_doubt]) if in_doubt else []
        ours = {
            position
            for position, value in zip(in_doubt, stored, strict=True)
            if not outcomes[position].ttl_s or value == outcomes[position].value
        }
        return (position for position in ignored if position not in ours)

    def _passes(self, error: BrokerUnavailable | BrokerRefused) -> bool:
        """Whether Redis is away, loading, full or a replica; else it is there, but does not take this."""
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
    """Positions, as many together as fit into one step; one that does not fit stands alone."""
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
