"""Celery's own event receiver gets the events of a lane, on any database and behind any prefix."""

from __future__ import annotations

from contextlib import closing

import pytest

from modelane.app import build
from modelane.broker.connection import connect
from modelane.settings import Settings
from modelane_worker.lanes.event_publisher import EventPublisher
from support.event_listener import Listener
from support.waiting import eventually


@pytest.mark.parametrize(("db", "prefix"), [(0, ""), (3, "shop:")])
def test_a_stock_receiver_gets_every_event(redis_url, db, prefix):
    # Given an event receiver of Celery's, on any database and behind any prefix
    settings = Settings(broker_url=f"{redis_url.rpartition('/')[0]}/{db}", prefix=prefix)
    with Listener(build(settings)) as listener, closing(connect(settings)) as client:
        eventually(client.pubsub_numpat, "its subscription, which is a pattern")

        # When a worker publishes three events
        publisher = EventPublisher(client, settings.prefix, "worker@here")
        publisher.start()
        for number in range(3):
            publisher.add(
                {"type": "task-started", "uuid": str(number), "hostname": "worker@here", "clock": number}
            )
        publisher.flush()
        publisher.close(5)

        # Then the receiver gets all of them
        eventually(lambda: len(listener.heard) == 3, "three events")
        assert [event["uuid"] for event in listener.heard] == ["0", "1", "2"]


def test_an_event_that_cannot_be_written_does_not_stop_later_events(redis_url):
    settings = Settings(broker_url=redis_url)
    with Listener(build(settings)) as listener, closing(connect(settings)) as client:
        eventually(client.pubsub_numpat, "its subscription, which is a pattern")
        publisher = EventPublisher(client, settings.prefix, "worker@here")
        publisher.start()

        publisher.add({"type": "task-started", "uuid": object()})
        publisher.flush()
        eventually(lambda: not publisher._waiting, "it was taken")
        publisher.add({"type": "task-started", "uuid": "next", "hostname": "worker@here", "clock": 1})
        publisher.flush()
        publisher.close(5)

        eventually(lambda: listener.heard, "the next event")
        assert [event["uuid"] for event in listener.heard] == ["next"]
