"""Tell Redis what this worker has: the models that exist, those that it serves, the versions that it holds.

Clients, the command line and trainers read it. It expires, so a worker repeats it as long as it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import redis

from modelane.broker.served_models import Served, announce
from modelane.data.features import Feature
from modelane.keys import HELD_TTL_S, SERVED_TTL_S
from modelane_worker.registry.card import Card
from modelane_worker.registry.held_versions import HeldVersion, hold

#: Seconds after which the same facts are written again: three times before any of them expires.
REPEAT_S = min(SERVED_TTL_S, HELD_TTL_S) / 3


class _Facts(NamedTuple):
    known: frozenset[str]
    served: tuple[Served, ...]
    held: frozenset[HeldVersion]


class Presence:
    """What one worker has told Redis about itself.

    Args:
        client: a connection to Redis.
        prefix: of every key.
        clock: seconds.
    """

    def __init__(self, client: redis.Redis, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = client
        self._prefix = prefix
        self._clock = clock
        self._written = _Facts(frozenset(), (), frozenset())
        self._repeat_at_s = 0.0

    def update(self, known: Collection[str], cards: Sequence[Card]) -> None:
        """Write what has changed, and everything from time to time; call this often.

        Args:
            known: names of the models that exist, whether this worker serves them or not.
            cards: of all versions in memory; the first one of each model is of the version in service.

        Raises:
            BrokerUnavailable: Redis does not answer; the next call tries again.
            BrokerRefused: an operator must act.
        """
        in_service = {card.model: card for card in reversed(cards)}
        facts = _Facts(
            frozenset(known),
            tuple(map(_served, in_service.values())),
            frozenset((card.model, card.version) for card in cards),
        )
        if facts == self._written and self._clock() < self._repeat_at_s:
            return
        hold(self._redis, self._prefix, facts.held)
        announce(self._redis, self._prefix, facts.served, known=facts.known)
        self._written, self._repeat_at_s = facts, self._clock() + REPEAT_S


def _served(card: Card) -> Served:
    """Return what callers need of a card."""
    return Served(
        model=card.model,
        version=card.version,
        features=tuple(Feature(feature.name, feature.type) for feature in card.features),
        methods=card.methods,
        classes=card.classes,
    )
