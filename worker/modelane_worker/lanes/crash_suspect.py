"""Whose fault it is when a worker dies.  lane → SUSPICION → reserve, in the worker that comes after it.

Lanes of one worker die together, so each loss costs all of them an attempt: a slow request could be buried
for what another lane's did.  A request on its last attempt is therefore computed under suspicion: it alone is
to blame if the worker dies meanwhile, and one worker suspects one at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from modelane.broker.connection import broker_errors
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import SUSPECT_KEY_PREFIX, SUSPECT_TTL_S


class Suspicion:
    """One for all lanes of a worker.

    Attributes:
        process: stands in the tags of all its leases.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.process = os.urandom(4).hex()
        self._redis = client
        self._key = prefix + SUSPECT_KEY_PREFIX + self.process
        self._one = threading.Lock()

    @contextmanager
    def of(self, tag: bytes) -> Iterator[None]:
        """While this lease's request is computed.  Redis may be away: an answer is worth more than blame."""
        with self._one:
            with suppress(BrokerUnavailable, BrokerRefused), broker_errors():
                self._redis.set(self._key, tag, ex=SUSPECT_TTL_S)
            try:
                yield
            finally:
                with suppress(BrokerUnavailable, BrokerRefused), broker_errors():
                    self._redis.delete(self._key)
