"""Listen to the notifications that concern a worker: an alias has moved, or requests are revoked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec

from modelane.broker.connection import broker_errors, connect
from modelane.broker.retry import Outage
from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.keys import MODELS_CHANNEL, REVOKED_KEY
from modelane.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds of one wait for a notification, after which the thread looks whether it should end.
LISTEN_S = 1.0

_ids = msgspec.json.Decoder(list[str])


class NotificationListener:
    """One thread and one connection.

    Args:
        settings: which Redis, and the prefix of its channels.
        on_alias_moved: called when the alias of a model has moved.
        on_revoked: called with the ids of requests that a client has revoked.
    """

    def __init__(
        self, settings: Settings, on_alias_moved: Callable[[], None], on_revoked: Callable[[list[str]], None]
    ) -> None:
        self._settings = settings
        self._handlers: dict[str, Callable[[bytes], None]] = {
            settings.prefix + MODELS_CHANNEL: lambda _: on_alias_moved(),
            settings.prefix + REVOKED_KEY: lambda data: on_revoked(_ids.decode(data)),
        }
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelane-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(LISTEN_S * 2)

    def _run(self) -> None:
        outage = Outage("notifications", self._closing.wait)
        while not self._closing.is_set():
            try:
                with broker_errors(), connect(self._settings) as client:
                    subscription = client.pubsub(ignore_subscribe_messages=True)
                    subscription.subscribe(*self._handlers)
                    outage.end()
                    while not self._closing.is_set():
                        if (message := subscription.get_message(timeout=LISTEN_S)) is not None:
                            self._handlers[message["channel"].decode()](message["data"])
            except msgspec.DecodeError as exc:  # anybody who can write to Redis can publish nonsense here
                logger.warning(
                    "a notification is not a JSON list of ids and is ignored: %s",
                    exc,
                    extra={"event": "bell_unreadable"},
                )
            except (BrokerUnavailable, BrokerRefused) as exc:
                outage.pause(exc)
