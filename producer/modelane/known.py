"""Whether anybody knows a model, asked before Celery's client sends a request.  signatures → KNOWN → Redis.

Its result has no deadline: nobody would ever say that nobody comes.  :class:`modelane.Client` finds out while
it waits: see :mod:`modelane.unserved`.
"""

from __future__ import annotations

from redis.utils import str_if_bytes

from modelane.connection import broker_errors, connect
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import SERVED_KEY
from modelane.served import served_models
from modelane.settings import Settings
from modelane.unserved import unknown


class Known:
    """The models that were ever published or announced; Redis is asked once for each.

    Args:
        settings: which Redis, and the prefix of its keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names: frozenset[str] = frozenset()

    def check(self, model: str) -> None:
        """Raises :class:`UnknownModel`: workers are there, and none knows it."""
        if model in self._names or not self._settings.has_lanes:
            return
        prefix = self._settings.prefix
        try:
            with connect(self._settings) as client:
                with broker_errors():
                    self._names = frozenset(map(str_if_bytes, client.smembers(prefix + SERVED_KEY)))
                served = [] if model in self._names else [one.model for one in served_models(client, prefix)]
        except (BrokerUnavailable, BrokerRefused):
            return  # whoever sends has a way of its own to wait, or to say so
        if served:
            raise unknown(model, served)
