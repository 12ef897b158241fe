"""The guarantees of the leased queue, on a real Redis."""

import json
import threading
import time

import pytest
import redis
from celery import Celery

from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerRefused, BrokerUnavailable, QueueFull
from modelane.keys import QueueKeys
from support.waiting import eventually

#: Seconds: a lease that never expires during a test, and one that always does.
HOLDS, RUNS_OUT = 60.0, 0.02


def message(name: str, rows: int = 1) -> bytes:
    return json.dumps({"rows": rows, "body": name}, separators=(",", ":")).encode()


def put(queue, *messages, **options):
    return queue.put(messages, **{"max_depth": 1000} | options)


def reserve(queue, lease_s=HOLDS, max_requests=100, max_rows=1000, max_bytes=10**6, **options):
    return queue.reserve(
        lease_s=lease_s,
        max_requests=max_requests,
        max_rows=max_rows,
        max_bytes=max_bytes,
        max_attempts=3,
        **options,
    ).leases


def settle(queue, *leases, **options):
    return queue.settle(
        [Settlement(lease.tag, name(lease), b"\xa1x", **{"ttl_s": 60} | options) for lease in leases]
    )


def name(lease) -> str:
    return json.loads(lease.message)["body"]


def names(leases) -> list[str]:
    return [name(lease) for lease in leases]


def settle_for(queue, seconds, batch, pause_s=0.0):
    """Settle batches for some time, like a worker."""
    until = time.monotonic() + seconds
    while True:
        put(queue, *(message(str(n)) for n in range(batch)))
        leases = reserve(queue, max_requests=batch)
        time.sleep(pause_s)  # it computes
        settle(queue, *leases, ttl_s=0)
        if time.monotonic() >= until:
            return


def retry_after_s(queue, n=1):
    """Return the retry-after of a full lane for ``n`` requests."""
    with pytest.raises(QueueFull) as full:
        put(queue, *(message(str(n)) for n in range(n)), max_depth=0)
    return full.value.retry_after_s


def reserve_returned(queue, n=1):
    """Reserve until ``n`` messages have returned, with a timeout."""
    got = []

    def are_back() -> bool:
        got.extend(reserve(queue))
        return len(got) >= n

    eventually(are_back, "the messages")
    return got


class TestPut:
    def test_messages_are_reserved_in_the_order_in_which_they_were_put(self, queue):
        put(queue, message("a"), message("b"))
        put(queue, message("c"))

        assert names(reserve(queue)) == ["a", "b", "c"]

    def test_a_full_lane_refuses_all_messages_and_says_how_full_it_is(self, queue):
        put(queue, message("a"), message("b"))

        with pytest.raises(QueueFull) as full:
            put(queue, message("c"), message("d"), max_depth=3)

        assert (full.value.depth, full.value.limit) == (2, 3)
        assert full.value.retry_after_s > 0
        assert queue.depth() == 2

    def test_a_full_lane_with_unknown_rate_asks_to_retry_after_a_second(self, queue):
        assert retry_after_s(queue) == 1.0

    def test_a_full_lane_estimates_from_its_rate_when_it_will_have_room(self, queue):
        # Given a lane that settles about 200 requests a second, and always has more to do
        put(queue, *(message(str(n)) for n in range(20)))
        settle_for(queue, seconds=1.5, batch=20, pause_s=0.1)

        # When one request finds it full, and when a hundred requests do
        one, many = retry_after_s(queue), retry_after_s(queue, n=100)

        # Then the one retries soon, and the hundred in about half a second, or later on a busy machine
        assert one < many
        assert 0.2 < many < 10

    def test_a_slower_lane_asks_to_retry_later(self, server, queue):
        now, _ = server.time()
        said = []
        for rate in (0, 0.001, 20, 1e9):
            server.set(queue.keys.rate, f"{now} {rate}")
            said.append(retry_after_s(queue, n=100))

        assert said == [60.0, 60.0, pytest.approx(5, rel=0.3), 0.05]

    def test_a_lane_that_has_settled_nothing_for_long_counts_as_slower(self, server, queue):
        now, _ = server.time()
        server.set(queue.keys.rate, f"{now - 50} 100")

        assert retry_after_s(queue, n=100) == pytest.approx(10, rel=0.1)

    def test_an_idle_lane_does_not_count_as_slower(self, server, queue):
        # Given a lane that settles 100 requests a second, and then idles for an hour
        now, _ = server.time()
        server.set(queue.keys.rate, f"{now - 3600} 100")

        # When it gets work, and answers it
        put(queue, message("a"))
        settle(queue, *reserve(queue))

        # Then its rate is about the same, also on a busy machine, and not one request a minute
        assert 0.5 < retry_after_s(queue, n=100) < 5

    def test_the_first_batch_of_a_lane_sets_its_rate(self, server, queue):
        put(queue, *(message(f"{n}") for n in range(50)))
        now, _ = server.time()
        server.set(queue.keys.rate, f"{now - 1} -")  # put a second ago

        settle(queue, *reserve(queue))

        assert 0.8 < retry_after_s(queue, n=50) < 10

    @pytest.mark.parametrize("nonsense", ["nonsense", "", "1 2 3", "x 1", "1 -1"])
    def test_an_invalid_rate_is_ignored_and_overwritten(self, server, queue, nonsense):
        server.set(queue.keys.rate, nonsense)

        assert retry_after_s(queue) == 1.0
        settle_for(queue, seconds=0, batch=2)
        assert retry_after_s(queue) != 1.0

    def test_the_depth_limit_counts_all_priorities(self, queue):
        put(queue, message("a"), priority=9)

        with pytest.raises(QueueFull):
            put(queue, message("b"), max_depth=1)

    def test_a_repeated_put_puts_nothing(self, queue):
        put(queue, message("a"), token="t")
        put(queue, message("a"), token="t")

        assert names(reserve(queue)) == ["a"]

    def test_the_error_of_a_senders_clock_is_added_to_its_messages(self, queue, monkeypatch):
        put(queue, message("right"))
        hours_ago = time.time() - 7200
        monkeypatch.setattr(time, "time", lambda: hours_ago)
        put(queue, message("late"), message("later"))

        right, *late = [json.loads(lease.message) for lease in reserve(queue)]

        assert "clock_off_s" not in right
        assert [note["clock_off_s"] for note in late] == pytest.approx([7200, 7200], abs=5)

    def test_thousands_of_messages_go_in_one_put(self, queue):
        put(queue, *(message(str(i)) for i in range(20_000)), max_depth=20_000)

        assert queue.depth() == 20_000

    def test_stock_celery_puts_on_the_same_lists(self, queue, redis_url):
        app = Celery(broker=redis_url)
        for priority in (9, 0, 5, 3):
            app.send_task("t", queue="modelane.predict.m", priority=priority, task_id=str(priority))

        ids = [json.loads(lease.message)["headers"]["id"] for lease in reserve(queue)]

        assert ids == ["0", "5", "3", "9"]  # 3 and 5 share a list, in the order of their sending


class TestReserve:
    def test_the_most_urgent_message_comes_first(self, queue):
        for priority in (9, 6, 3, 0):
            put(queue, message(str(priority)), priority=priority)

        assert names(reserve(queue)) == ["0", "3", "6", "9"]

    def test_a_batch_ends_before_the_message_that_would_be_too_many_rows(self, queue):
        put(queue, message("a", 4), message("b", 5), message("c", 2), message("d", 1))

        assert names(reserve(queue, max_rows=10)) == ["a", "b"]
        assert names(reserve(queue, max_rows=10)) == ["c", "d"]

    def test_a_batch_ends_before_the_message_that_would_be_too_many_bytes(self, queue):
        big = message("x" * 500)
        put(queue, big, big, message("c"))

        assert len(reserve(queue, max_bytes=600)) == 1

    def test_a_message_larger_than_a_batch_is_leased_alone(self, queue):
        put(queue, message("huge", 5000), message("b"))

        assert names(reserve(queue, max_rows=10)) == ["huge"]
        assert names(reserve(queue, max_rows=10)) == ["b"]

    def test_no_message_of_lower_priority_overtakes_one_that_did_not_fit(self, queue):
        put(queue, message("a", 4), message("b", 9))
        put(queue, message("small", 1), priority=9)

        assert names(reserve(queue, max_rows=10)) == ["a"]
        assert names(reserve(queue, max_rows=10)) == ["b", "small"]

    def test_two_workers_never_hold_the_same_message(self, queue, redis_url):
        put(queue, *(message(str(i)) for i in range(500)))
        got, lock = [], threading.Lock()

        def work():
            with redis.Redis.from_url(redis_url) as client:
                own = LeasedQueue(client, queue.keys)
                while leases := reserve(own, max_requests=7):
                    with lock:
                        got.extend(names(leases))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert sorted(got, key=int) == [str(i) for i in range(500)]

    def test_it_returns_the_time_of_the_server(self, queue):
        now_s = queue.reserve(lease_s=1, max_requests=1, max_rows=1, max_bytes=1, max_attempts=1).now_s

        assert abs(now_s - time.time()) < 5


class TestLease:
    def test_an_expired_lease_returns_the_message_with_one_more_attempt(self, queue):
        put(queue, message("a"))

        first = reserve(queue, RUNS_OUT)
        (second,) = reserve_returned(queue)

        assert names(first) == ["a"]
        assert json.loads(second.message) == {"attempts": 1, "rows": 1, "body": "a"}

    def test_attempts_add_up(self, queue):
        put(queue, message("a"))
        reserve(queue, RUNS_OUT)
        for _ in range(2):
            time.sleep(RUNS_OUT * 2)  # the lease's own time, not a wait for luck
            (lease,) = reserve(queue, RUNS_OUT)

        assert json.loads(lease.message)["attempts"] == 2

    def test_messages_return_in_their_order_and_before_what_came_later(self, queue):
        put(queue, message("a"), message("b"))
        reserve(queue, RUNS_OUT, max_requests=1)
        reserve(queue, RUNS_OUT * 1.5, max_requests=1)
        put(queue, message("c"))
        time.sleep(RUNS_OUT * 3)

        assert names(reserve(queue)) == ["a", "b", "c"]

    def test_a_returned_message_keeps_its_priority(self, queue):
        put(queue, message("low"), priority=9)
        reserve(queue, RUNS_OUT)
        put(queue, message("high"))
        time.sleep(RUNS_OUT * 2)

        assert names(reserve(queue)) == ["high", "low"]

    def test_a_message_that_has_lost_workers_is_served_in_smaller_batches_and_finally_alone(self, queue):
        put(queue, *(message(str(n)) for n in range(30)))
        reserve(queue, RUNS_OUT)
        time.sleep(RUNS_OUT * 2)
        put(queue, message("later"))

        few = reserve(queue, RUNS_OUT)
        time.sleep(RUNS_OUT * 2)
        alone = reserve(queue, RUNS_OUT)

        assert names(few) == [str(n) for n in range(10)]  # the root of 100
        assert names(alone) == ["0"]

    def test_only_the_suspect_of_a_dead_process_loses_an_attempt(self, server, queue):
        dead = LeasedQueue(server, queue.keys, process="dead")
        put(dead, message("suspect"), message("neighbour"))
        suspect, _ = reserve(dead, RUNS_OUT)
        server.set("modelane.suspect.dead", suspect.tag)
        time.sleep(RUNS_OUT * 2)

        returned = [json.loads(lease.message) for lease in reserve(queue)]

        assert [found.get("attempts", 0) for found in returned] == [1, 0]

    def test_a_message_that_has_lost_workers_is_not_reserved_ahead(self, queue):
        put(queue, message("a"))
        reserve(queue, RUNS_OUT)
        time.sleep(RUNS_OUT * 2)
        put(queue, message("b"))

        assert reserve(queue, only_first_attempts=True) == ()
        assert names(reserve(queue)) == ["a", "b"]

    def test_a_reserve_whose_reply_was_lost_finds_its_leases_again(self, queue, server, monkeypatch):
        put(queue, message("a"), message("b"))
        put(queue, message("c"), priority=9)

        def reply_is_lost(keys, args):
            answered(keys=keys, args=args)
            raise redis.ConnectionError("reset by peer")

        answered = queue._reserve
        with monkeypatch.context() as patch:
            patch.setattr(queue, "_reserve", reply_is_lost)
            with pytest.raises(BrokerUnavailable):
                reserve(queue, max_requests=3)

        put(queue, message("later"))
        assert names(reserve(queue)) == ["a", "b", "c"]
        assert names(reserve(queue)) == ["later"]
        assert server.hvals(queue.keys.leased) == [b"2", b"1", b"1"]

    @pytest.mark.parametrize("n_given_up", [1, 2])
    def test_a_lost_reserve_that_arrives_late_leases_nothing(self, queue, server, monkeypatch, n_given_up):
        put(queue, message("a"), message("b"))
        late = []

        def is_on_its_way(keys, args):
            late.append((keys, args))
            raise redis.TimeoutError("no reply")

        arrives = queue._reserve
        with monkeypatch.context() as patch:
            patch.setattr(queue, "_reserve", is_on_its_way)
            for _ in range(n_given_up):
                with pytest.raises(BrokerUnavailable):
                    reserve(queue)
        held = reserve(queue, max_requests=2)
        put(queue, message("c"), message("d"))
        while late:
            assert len(arrives(*late.pop())) == 1

        settle(queue, *held)

        assert names(held) == ["a", "b"]
        assert names(reserve(queue)) == ["c", "d"]

    def test_a_renewed_lease_does_not_return(self, queue):
        put(queue, message("a"))
        (lease,) = reserve(queue, RUNS_OUT)

        assert queue.renew([lease.tag], lease_s=HOLDS) == 1
        time.sleep(RUNS_OUT * 2)

        assert reserve(queue) == ()

    def test_a_lost_lease_cannot_be_renewed(self, queue):
        put(queue, message("a"))
        (lost,) = reserve(queue, RUNS_OUT)
        reserve_returned(queue)

        assert queue.renew([lost.tag], lease_s=HOLDS) == 0


class TestSettle:
    def test_the_result_is_stored_under_celerys_key_and_published_there(self, queue, server):
        listener = server.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("celery-task-meta-a")
        put(queue, message("a"))

        settle(queue, *reserve(queue))

        assert server.get("celery-task-meta-a") == b"\xa1x"
        assert 0 < server.ttl("celery-task-meta-a") <= 60
        assert next_message(listener) == b"\xa1x"

    def test_nothing_is_left_of_a_settled_message(self, queue, server):
        put(queue, message("a"), token="t")
        settle(queue, *reserve(queue), ttl_s=0)

        # Keys that expire
        left = server.keys()
        assert set(left) == {queue.keys.put("t").encode(), queue.keys.rate.encode()}
        assert all(server.ttl(key) > 0 for key in left)

    def test_one_reply_carries_all_outcomes_of_a_client(self, queue, server):
        listener = server.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("modelane.reply.me")
        put(queue, message("a"), message("b"), message("c"))

        settle(queue, *reserve(queue), reply_to="modelane.reply.me")

        assert next_message(listener) == b"\xdd\x00\x00\x00\x03" + b"\xa1x" * 3

    def test_without_a_ttl_an_answer_is_neither_stored_nor_published(self, queue, server):
        listener = server.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("celery-task-meta-a", "modelane.reply.me")
        put(queue, message("a"))

        assert settle(queue, *reserve(queue), ttl_s=0, reply_to="modelane.reply.me") == frozenset()

        assert server.get("celery-task-meta-a") is None
        server.publish("modelane.reply.me", "end")
        assert next_message(listener) == b"end"

    def test_of_two_answers_the_one_with_the_lease_is_stored(self, queue, server):
        put(queue, message("a"))
        (lost,) = reserve(queue, RUNS_OUT)
        (held,) = reserve_returned(queue)

        late = queue.settle([Settlement(lost.tag, "a", b"late", 60)])
        good = queue.settle([Settlement(held.tag, "a", b"good", 60)])

        assert (late, good) == (frozenset({0}), frozenset())
        assert server.get("celery-task-meta-a") == b"good"

    def test_an_expired_lease_that_nobody_has_taken_may_still_answer(self, queue):
        put(queue, message("a"))
        (lease,) = reserve(queue, RUNS_OUT)
        time.sleep(RUNS_OUT * 2)

        assert settle(queue, lease) == frozenset()
        assert reserve(queue) == ()

    def test_settling_twice_changes_nothing(self, queue, server):
        put(queue, message("a"))
        (lease,) = reserve(queue)
        settle(queue, lease)
        server.delete("celery-task-meta-a")

        assert settle(queue, lease) == frozenset({0})
        assert server.get("celery-task-meta-a") is None

    def test_a_dead_letter_has_its_reason_and_its_caller_gets_the_failure(self, queue, server):
        put(queue, message("a"))

        settle(queue, *reserve(queue), bury_reason="three workers were lost")

        assert server.hgetall(queue.keys.dead) == {b"a": b"three workers were lost\n" + message("a")}
        assert server.get("celery-task-meta-a") == b"\xa1x"
        assert reserve(queue) == ()

    def test_only_the_holder_of_a_lease_may_make_a_dead_letter(self, queue, server):
        put(queue, message("a"))
        (lost,) = reserve(queue, RUNS_OUT)
        reserve_returned(queue)

        settle(queue, lost, bury_reason="no")

        assert server.hgetall(queue.keys.dead) == {}


class TestRelease:
    def test_a_delayed_message_returns_after_its_delay_without_an_attempt(self, queue):
        put(queue, message("a"))
        (lease,) = reserve(queue)

        assert queue.release([lease.tag], delay_s=RUNS_OUT, counts=False) == 1

        assert reserve(queue) == ()
        assert reserve_returned(queue)[0].message == message("a")

    def test_a_retry_counts_as_an_attempt(self, queue):
        put(queue, message("a"))
        (lease,) = reserve(queue)

        queue.release([lease.tag], delay_s=RUNS_OUT, counts=True)

        assert json.loads(reserve_returned(queue)[0].message)["attempts"] == 1

    def test_a_released_message_cannot_be_answered(self, queue):
        put(queue, message("a"))
        (lease,) = reserve(queue)
        queue.release([lease.tag], delay_s=HOLDS, counts=False)

        assert settle(queue, lease) == frozenset({0})

    def test_a_lost_lease_cannot_be_released(self, queue):
        put(queue, message("a"))
        (lost,) = reserve(queue, RUNS_OUT)
        reserve_returned(queue)

        assert queue.release([lost.tag], delay_s=0, counts=False) == 0


class TestWait:
    def test_waiting_ends_when_something_is_put_and_takes_nothing(self, queue, redis_url):
        ended = threading.Event()

        def wait():
            with redis.Redis.from_url(redis_url) as client:
                LeasedQueue(client, queue.keys).wait(10)
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        assert not ended.wait(0.05)
        put(queue, message("a"))

        assert ended.wait(5)
        assert names(reserve(queue)) == ["a"]

    def test_waiting_times_out_and_returns_that_there_is_nothing(self, queue):
        put(queue, message("a"))
        reserve(queue)

        assert queue.wait(0.05) is False

    def test_waiting_notices_messages_of_lower_priority(self, queue):
        put(queue, message("a"), priority=9)

        assert queue.wait(0.05) is True

    def test_waiting_notices_due_messages(self, queue):
        put(queue, message("a"))
        reserve(queue, RUNS_OUT)

        assert queue.wait(RUNS_OUT * 2) is True


class TestTrouble:
    def test_a_dead_server_is_broker_unavailable(self, free_port):
        client = redis.Redis(port=free_port, retry=None)
        with pytest.raises(BrokerUnavailable):
            put(LeasedQueue(client, QueueKeys("q")), message("a"))

    def test_a_key_of_another_type_is_broker_refused(self, queue, server):
        server.set(queue.keys.first, "not a list")

        with pytest.raises(BrokerRefused, match="WRONGTYPE"):
            reserve(queue)

    def test_full_memory_is_broker_unavailable_and_loses_nothing(self, queue, server):
        put(queue, message("a"))
        server.config_set("maxmemory", 1)
        try:
            with pytest.raises(BrokerUnavailable):
                put(queue, message("b"))
            assert names(reserve(queue, RUNS_OUT)) == ["a"]  # what lies there is served all the same
        finally:
            server.config_set("maxmemory", 0)

        assert names(reserve_returned(queue)) == ["a"]

    def test_with_full_memory_the_queue_can_still_be_emptied(self, queue, server):
        put(queue, message("a"), message("b"))
        reserve(queue, RUNS_OUT)
        time.sleep(RUNS_OUT * 2)
        server.config_set("maxmemory", 1)
        try:
            a, b = reserve(queue)
            assert queue.renew([a.tag, b.tag], lease_s=HOLDS) == 1
            assert queue.release([a.tag], delay_s=0, counts=True) == 1
            assert settle(queue, b, *reserve(queue)) == frozenset()
        finally:
            server.config_set("maxmemory", 0)

    def test_scripts_are_sent_again_after_the_server_has_dropped_them(self, queue, server):
        put(queue, message("a"))
        server.script_flush()

        assert names(reserve(queue)) == ["a"]

    def test_every_key_has_the_prefix(self, server):
        queue = LeasedQueue(server, QueueKeys("q", "shop:"))
        listener = server.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("shop:modelane.reply.me", "shop:celery-task-meta-b")
        put(queue, message("a"), message("b"), message("c"), message("d"))
        a, b, c, d = reserve(queue)

        settle(queue, a, reply_to="modelane.reply.me")
        assert next_message(listener).endswith(b"\xa1x")
        settle(queue, b)
        assert next_message(listener) == b"\xa1x"
        settle(queue, c, bury_reason="no")
        queue.release([d.tag], delay_s=HOLDS, counts=False)
        put(queue, message("e"), priority=9)

        assert all(key.startswith(b"shop:") for key in server.scan_iter())


def next_message(listener) -> bytes:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if (got := listener.get_message(timeout=1)) is not None:
            return got["data"]
    raise AssertionError("no message came")


class TestProgress:
    def test_progress_is_stored_and_published_until_the_lease_is_lost(self, queue, server):
        # Given two messages of one batch, and a listener
        put(queue, message("a"), message("b"))
        first, second = reserve(queue)
        with server.pubsub(ignore_subscribe_messages=True) as listener:
            listener.subscribe("celery-task-meta-a")
            listener.get_message(timeout=1)

            # When the progress of one is reported
            assert queue.report_progress(first.tag, "a", b"half", ttl_s=60)

            # Then it is stored with a ttl and published
            assert server.get("celery-task-meta-a") == b"half"
            assert 0 < server.ttl("celery-task-meta-a") <= 60
            assert listener.get_message(timeout=1)["data"] == b"half"

        # When it is settled, its progress is no longer stored, but that of the other one is
        settle(queue, first)
        assert not queue.report_progress(first.tag, "a", b"late", ttl_s=60)
        assert server.get("celery-task-meta-a") == b"\xa1x"
        assert queue.report_progress(second.tag, "b", b"half", ttl_s=60)

    def test_progress_is_published_on_the_channel_of_the_client(self, queue, server):
        put(queue, message("a"))
        (lease,) = reserve(queue)
        with server.pubsub(ignore_subscribe_messages=True) as listener:
            listener.subscribe("mine")
            listener.get_message(timeout=1)

            queue.report_progress(lease.tag, "a", b"\xa1y", ttl_s=60, reply_to="mine")

            assert listener.get_message(timeout=1)["data"] == b"\x91\xa1y"
