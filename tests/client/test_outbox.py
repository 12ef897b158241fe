"""The outbox sends all waiting messages as soon as Redis and the lane accept them."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from client.lane import DEADLINE_S, MODEL
from modelane.client.transport import backlog
from modelane.client.transport.backlog import Outgoing
from modelane.client.transport.control_queue import ControlQueue
from modelane.client.transport.outbox import Outbox
from modelane.client.transport.pending import Pending
from modelane.errors import BrokerUnavailable, ModelaneError, QueueFull, TryLater
from modelane.keys import predict_queue

ROWS = np.ones((2, 3))


class Future:
    """Records the outcome of its message."""

    id = "an-id"
    is_shared = False

    def __init__(self) -> None:
        self.sent = self.maybe_sent = False
        self.error: ModelaneError | None = None

    def mark_sent(self) -> None:
        self.sent = True

    def done(self) -> bool:
        return self.error is not None

    def fail(self, error: ModelaneError) -> None:
        self.error = error


class Queue:
    """A lane with a limit; records the messages of each put."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self.puts: list[list[bytes]] = []
        self.is_open = threading.Event()
        self.is_open.set()

    def put(self, messages, **_):
        self.is_open.wait(10)
        depth = sum(map(len, self.puts))
        if depth + len(messages) > self.limit:
            raise QueueFull("q", depth, self.limit, 1.0)
        self.puts.append(list(messages))
        return []


@pytest.fixture
def lane_of():
    """Return a function that opens an outbox on a queue."""
    opened = []

    def open_on(queue: Queue) -> Outbox:
        control = ControlQueue(None, Pending(), "channel")
        opened.append(Outbox(lambda name: queue, control, max_depth=queue.limit))
        opened[-1].start()
        return opened[-1]

    yield open_on
    for each in opened:
        each.close(5)
        each.join(5)


def test_requests_that_fit_into_the_lane_are_put_and_the_others_fail_with_queue_full(opened, lane, server):
    # Given a lane with room for 200, and 300 requests of unrelated callers
    client = opened(max_depth=200)
    futures = [client.submit(MODEL, ROWS) for _ in range(300)]

    client.flush()

    # Then 200 wait in the lane, and the others fail with its depth and limit
    assert server.llen(predict_queue(MODEL)) == 200
    refused = [future for future in futures if future.done()]
    assert len(refused) == 100
    for future in refused:
        full = future.exception(0)
        assert isinstance(full, QueueFull)
        assert (full.depth, full.limit) == (200, 200)
        assert "200 messages wait, and its limit is 200" in str(full)
    lane.answer(lane.take(200))
    assert sum(len(future.result(10)) for future in futures if future not in refused) == 400


def test_a_put_that_exceeds_the_room_is_split(lane_of):
    queue = Queue(limit=5)
    queue.is_open.clear()
    box = lane_of(queue)
    futures = [Future() for _ in range(9)]
    for n, future in enumerate(futures):
        box.add(Outgoing("q", 0, bytes([n]), future))

    queue.is_open.set()

    box.flush(10)
    assert [message for put in queue.puts for message in put] == [bytes([n]) for n in range(5)]
    assert [future.sent for future in futures] == [True] * 5 + [False] * 4
    assert all(isinstance(future.error, QueueFull) for future in futures[5:])


def test_messages_whose_future_is_done_are_not_sent(lane_of):
    queue = Queue()
    queue.is_open.clear()
    box = lane_of(queue)
    first, cancelled, last = futures = [Future() for _ in range(3)]
    box.add(Outgoing("elsewhere", 0, b"first", first))
    for future, message in ((cancelled, b"cancelled"), (last, b"last")):
        box.add(Outgoing("q", 0, message, future))
    cancelled.fail(TryLater("cancelled"))

    queue.is_open.set()

    box.flush(10)
    assert queue.puts == [[b"first"], [b"last"]]
    assert [future.sent for future in futures] == [True, False, True]


@pytest.mark.parametrize(("limit", "value"), [("MAX_WAITING", 3), ("MAX_WAITING_BYTES", 3000)])
def test_the_backlog_is_bounded_in_number_and_in_bytes(lane_of, monkeypatch, limit, value):
    monkeypatch.setattr(backlog, limit, value)
    queue = Queue()
    queue.is_open.clear()
    box = lane_of(queue)
    for _ in range(3):
        box.add(Outgoing("q", 0, b"x" * 1000, Future()))

    with pytest.raises(TryLater, match=r"3 requests \(3000 bytes\) are waiting to be sent"):
        box.add(Outgoing("q", 0, b"x" * 1000, Future()))

    # Sent messages make room
    queue.is_open.set()
    box.flush(10)
    box.add(Outgoing("q", 0, b"x" * 5000, Future()))  # larger than all of it, and alone
    box.flush(10)


def test_flush_returns_when_redis_has_accepted_all_and_raises_if_it_has_not(opened, client, free_port):
    futures = [client.submit(MODEL, ROWS) for _ in range(100)]
    client.flush()
    assert all(future.sent for future in futures)

    away = opened(broker_url=f"redis://127.0.0.1:{free_port}/0")
    away.flush()  # nothing was submitted
    away.submit(MODEL, ROWS)
    with pytest.raises(BrokerUnavailable, match=r"not accept 1 of the requests within 0.3 s.*refused"):
        away.flush(0.3)


def test_messages_whose_future_is_done_are_dropped_while_a_command_waits_for_redis():
    # Given Redis away, a revoke command, and a message that waits
    class Away:
        def put(self, messages, **_):
            raise BrokerUnavailable("away")

        def revoke(self, ids):
            raise BrokerUnavailable("away")

    box = Outbox(lambda name: Away(), ControlQueue(Away(), Pending(), "channel"), max_depth=10)
    box.start()
    box.revoke(Future())
    future = Future()
    box.add(Outgoing("q", 0, b"x", future))

    # When its future times out
    future.fail(BrokerUnavailable("too late"))

    # Then its message is dropped
    box.flush(10)
    box.close(0.1)
    box.join(5)


def test_no_caller_waits_for_a_redis_that_accepts_connections_and_never_answers(opened):
    """The client's threads are blocked in the network, and hold no lock that a caller needs."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        client = opened(broker_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        client.submit(MODEL, ROWS)

        def ask():
            for n in range(300):
                client.submit(MODEL, ROWS * n).cancel()
                client.submit(MODEL, ROWS * n, id=f"id-{n}")
                client.attach(f"id-{n}")

        asking = threading.Thread(target=ask, daemon=True)
        with silent.accept()[0]:
            asking.start()
            asking.join(DEADLINE_S)

            assert not asking.is_alive(), "a caller is blocked"
            assert client._session._outbox.error is None, "no call to Redis has returned yet"
