"""Tells callers which models this worker serves.  live → ANNOUNCER → Redis → the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.served_models import Served, announce
from modelane.data.features import Feature
from modelane.keys import SERVED_KEY, SERVED_TTL_S
from modelane_worker.registry.card import Card


def served_as(card: Card) -> Served:
    """What callers need of a card."""
    return Served(
        model=card.model,
        version=card.version,
        features=tuple(Feature(feature.name, feature.type) for feature in card.features),
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
        self._known: frozenset[str] = frozenset()
        self._known_again_s = 0.0

    def know(self, models: Collection[str]) -> None:
        """Tell clients that there are such models, whether this worker serves them or not.

        Raises:
            BrokerUnavailable: nobody was told; the next call tries again.
            BrokerRefused: an operator must act.
        """
        known = frozenset(models)
        if not known or (known <= self._known and self._clock() < self._known_again_s):
            return
        with broker_errors():
            self._redis.sadd(self._prefix + SERVED_KEY, *known)
        self._known, self._known_again_s = known, self._clock() + SERVED_TTL_S / 3

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
