"""Events reach whoever listens with Celery's own means, wherever the broker keeps them."""

from __future__ import annotations

from contextlib import closing

import pytest

from modelane.app import build
from modelane.broker.connection import connect
from modelane.settings import Settings
from modelane_worker.lanes.event_publisher import Herald
from support.event_listener import Listener
from support.waiting import eventually


@pytest.mark.parametrize(("db", "prefix"), [(0, ""), (3, "shop:")])
def test_a_stock_receiver_hears_every_event(redis_url, db, prefix):
    # Given a listener of Celery's, on any database and behind any prefix
    settings = Settings(broker_url=f"{redis_url.rpartition('/')[0]}/{db}", prefix=prefix)
    with Listener(build(settings)) as listener, closing(connect(settings)) as client:
        eventually(client.pubsub_numpat, "its subscription, which is a pattern")

        # When a worker tells three events
        herald = Herald(client, settings.prefix, "worker@here")
        herald.start()
        for number in range(3):
            herald.add(
                {"type": "task-started", "uuid": str(number), "hostname": "worker@here", "clock": number}
            )
        herald.ring()
        herald.close(5)

        # Then all of them are heard
        eventually(lambda: len(listener.heard) == 3, "three events")
        assert [event["uuid"] for event in listener.heard] == ["0", "1", "2"]


def test_an_event_that_cannot_be_written_does_not_silence_those_after_it(redis_url):
    settings = Settings(broker_url=redis_url)
    with Listener(build(settings)) as listener, closing(connect(settings)) as client:
        eventually(client.pubsub_numpat, "its subscription, which is a pattern")
        herald = Herald(client, settings.prefix, "worker@here")
        herald.start()

        herald.add({"type": "task-started", "uuid": object()})
        herald.ring()
        eventually(lambda: not herald._waiting, "it was taken")
        herald.add({"type": "task-started", "uuid": "next", "hostname": "worker@here", "clock": 1})
        herald.ring()
        herald.close(5)

        eventually(lambda: listener.heard, "the next event")
        assert [event["uuid"] for event in listener.heard] == ["next"]
