"""The bell: rung when an alias has moved or a request is revoked; no worker waits for its next look."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec

from modelane.broker.connection import broker_errors, connect
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import MODELS_CHANNEL, REVOKED_KEY, SERVED_KEY
from modelane.settings import Settings

logger = logging.getLogger(__name__)

_ids = msgspec.json.Decoder(list[str])

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
        client.sadd(settings.prefix + SERVED_KEY, model)  # no client may call it unknown any more
        client.publish(settings.prefix + MODELS_CHANNEL, model)


class Bell:
    """Calls ``on_ring`` when an alias has moved, and ``on_revoked`` with ids, from a thread of its own."""

    def __init__(
        self, settings: Settings, on_ring: Callable[[], None], on_revoked: Callable[[list[str]], None]
    ) -> None:
        self._settings = settings
        self._heard: dict[str, Callable[[bytes], None]] = {
            settings.prefix + MODELS_CHANNEL: lambda _: on_ring(),
            settings.prefix + REVOKED_KEY: lambda said: on_revoked(_ids.decode(said)),
        }
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
                    subscription.subscribe(*self._heard)
                    while not self._closing.is_set():
                        if (said := subscription.get_message(timeout=LISTEN_S)) is not None:
                            self._heard[said["channel"].decode()](said["data"])
            except msgspec.DecodeError as exc:  # whoever can write to Redis can write nonsense here
                logger.warning("bell: %s", exc, extra={"event": "bell_unreadable"})
            except (BrokerUnavailable, BrokerRefused) as exc:
                logger.debug("bell: %s", exc)
                self._closing.wait(RETRY_S)
