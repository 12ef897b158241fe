"""The bell: a trainer rings when an alias has moved, so that workers need not wait for their next look."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from modelane.connection import broker_errors, connect
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import MODELS_CHANNEL
from modelane.settings import Settings

logger = logging.getLogger(__name__)

LISTEN_S = 1.0
RETRY_S = 2.0


def ring(settings: Settings, model: str) -> None:
    """Tell all workers that an alias of ``model`` has moved; without lanes they look by themselves.

    Raises:
        BrokerUnavailable: nobody was told; workers find out by themselves a little later.
    """
    if not settings.has_lanes:
        return
    with broker_errors(), connect(settings) as client:
        client.publish(settings.prefix + MODELS_CHANNEL, model)


class Bell:
    """Calls ``on_ring`` whenever somebody rings, from a thread of its own."""

    def __init__(self, settings: Settings, on_ring: Callable[[], None]) -> None:
        self._settings = settings
        self._on_ring = on_ring
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(LISTEN_S * 2)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with broker_errors(), connect(self._settings) as client:
                    subscription = client.pubsub(ignore_subscribe_messages=True)
                    subscription.subscribe(self._settings.prefix + MODELS_CHANNEL)
                    while not self._closing.is_set():
                        if subscription.get_message(timeout=LISTEN_S) is not None:
                            self._on_ring()
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.debug("bell: %s", exc)
                self._closing.wait(RETRY_S)
