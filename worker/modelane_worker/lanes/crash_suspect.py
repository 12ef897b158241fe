"""Note which request is to blame if this worker crashes, so that only that one loses its last attempt.

The lanes of one worker crash together, so each crash costs all of their requests an attempt: a slow request
could be buried because of another lane's. A request on its last attempt is therefore marked as the suspect
while it computes: if the worker crashes, the next reserve (``reserve.lua``) counts the attempt for it alone.
A worker has one suspect at a time.
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


class CrashSuspect:
    """The suspect of one worker, shared by its lanes.

    Attributes:
        process: identifies the worker; part of the tags of all its leases.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.process = os.urandom(4).hex()
        self._redis = client
        self._key = prefix + SUSPECT_KEY_PREFIX + self.process
        self._lock = threading.Lock()

    @contextmanager
    def computing(self, tag: bytes) -> Iterator[None]:
        """Suspect the request of this lease as long as the context is open.

        If Redis is unavailable the request is computed without a mark: an answer is worth more than the mark.
        """
        with self._lock:
            with suppress(BrokerUnavailable, BrokerRefused), broker_errors():
                self._redis.set(self._key, tag, ex=SUSPECT_TTL_S)
            try:
                yield
            finally:
                with suppress(BrokerUnavailable, BrokerRefused), broker_errors():
                    self._redis.delete(self._key)
