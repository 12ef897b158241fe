"""Notify workers that an alias of a model has moved, so that they look at the store immediately.

The Celery worker's ``NotificationListener`` receives it.
"""

from __future__ import annotations

from modelane.broker.connection import broker_errors, connect
from modelane.broker.served_models import announce
from modelane.keys import MODELS_CHANNEL
from modelane.settings import Settings


def notify_workers(settings: Settings, model: str) -> None:
    """Notify all workers; does nothing without lanes, where workers find out by themselves.

    Raises:
        BrokerUnavailable: no worker was notified; workers find out a little later.
        BrokerRefused: no worker was notified, and an operator must act.
    """
    if not settings.has_lanes:
        return
    with broker_errors(), connect(settings) as client:
        announce(client, settings.prefix, (), known=[model])  # from now on no client calls it unknown
        client.publish(settings.prefix + MODELS_CHANNEL, model)
