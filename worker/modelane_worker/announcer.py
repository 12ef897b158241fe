"""Tells callers which models this worker serves.  live → ANNOUNCER → Redis → the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import redis

from modelane.keys import SERVED_TTL_S
from modelane.served import Column, Served, announce
from modelane_worker.card import Card


def served_as(card: Card) -> Served:
    """What callers need of a card."""
    return Served(
        model=card.model,
        version=card.version,
        features=tuple(
            Column(feature.name, "float64" if feature.is_numeric else feature.dtype)
            for feature in card.features
        ),
        methods=card.methods,
        classes=card.classes,
    )


class Announcer:
    """Announces what is news, and all of it before it is forgotten.

    Args:
        client: a connection to Redis.
        prefix: before every key.
        clock: seconds.
    """

    def __init__(self, client: redis.Redis, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = client
        self._prefix = prefix
        self._clock = clock
        self._said: tuple[Served, ...] = ()
        self._again_s = 0.0

    def announce(self, cards: Sequence[Card]) -> None:
        """Call it often; it does little.

        Args:
            cards: of all versions that are held; the first one of each model is its champion's.

        Raises:
            BrokerUnavailable: nobody was told; the next call tries again.
            BrokerRefused: an operator must act.
        """
        champions = {card.model: card for card in reversed(cards)}
        served = tuple(map(served_as, champions.values()))
        if not served or (served == self._said and self._clock() < self._again_s):
            return
        announce(self._redis, self._prefix, served)
        self._said, self._again_s = served, self._clock() + SERVED_TTL_S / 3
