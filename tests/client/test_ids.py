"""Requests by their ids: computed once, attached to, revoked."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import redis
from celery import Celery

from client.lane import MODEL
from modelane.broker.leased_queue import LeasedQueue
from modelane.client.transport import reply_listener
from modelane.client.transport.reply_listener import ReplyListener
from modelane.errors import BadInput, Expired, NotAnswered, PredictionFailed, Revoked, TimedOut
from modelane.keys import ATTACHED_KEY, MAX_REVOKED, REVOKED_KEY, REVOKED_TTL_S, predict_queue
from support.waiting import eventually

ROWS = np.ones((2, 3))


#: Seconds between two checks for stored answers: far more than a published answer takes on a busy machine.
RARELY_S = 30.0


@pytest.fixture
def promptly(monkeypatch):
    """Return a block that asserts that an answer came without waiting for a check for stored answers."""
    monkeypatch.setattr(reply_listener, "CHECK_S", RARELY_S)

    @contextmanager
    def block():
        began_s = time.monotonic()
        yield
        assert time.monotonic() - began_s < RARELY_S / 2

    return block


class TestTheSameIdTwice:
    def test_while_the_first_waits_it_is_put_once_and_both_are_answered_promptly(
        self, opened, lane, server, promptly
    ):
        first, second = (opened().submit(MODEL, ROWS, id="order-17") for _ in range(2))
        until(lambda: first.sent and second.sent)
        assert server.llen(predict_queue(MODEL)) == 1
        until(lambda: server.exists(ATTACHED_KEY))

        with promptly():
            lane.answer(lane.take())
            assert first.result(10).values.tolist() == second.result(10).values.tolist() == [3.0, 3.0]
        assert server.llen(predict_queue(MODEL)) == 0

    def test_while_the_first_computes(self, opened, lane, server, promptly):
        first = opened().submit(MODEL, ROWS, id="order-17")
        leases = lane.take()
        second = opened().submit(MODEL, ROWS, id="order-17")
        until(lambda: server.exists(ATTACHED_KEY))

        with promptly():
            lane.answer(leases)
            assert len(second.result(10)) == len(first.result(10)) == 2
        assert server.llen(predict_queue(MODEL)) == 0

    def test_after_the_answer_and_a_restart_of_the_caller(self, opened, lane, server, promptly):
        client = opened()
        answer = client.submit(MODEL, ROWS * 2, id="order-17")
        lane.answer(lane.take())
        assert answer.result(10).values.tolist() == [6.0, 6.0]
        client.close()

        with promptly():
            assert opened().submit(MODEL, ROWS * 2, id="order-17").result(10).values.tolist() == [6.0, 6.0]
        assert server.llen(predict_queue(MODEL)) == 0

    def test_an_error_is_shared_too(self, opened, lane):
        first = opened().submit(MODEL, ROWS, id="x")
        lane.answer(lane.take(), PredictionFailed("no"))

        for future in (first, opened().submit(MODEL, ROWS, id="x")):
            with pytest.raises(PredictionFailed, match="no"):
                future.result(10)

    def test_a_hundred_from_one_client_in_one_put(self, client, lane, server):
        futures = [client.submit(MODEL, ROWS * (n % 10), id=f"id-{n % 10}") for n in range(100)]
        client.flush()

        assert server.llen(predict_queue(MODEL)) == 10
        lane.answer(lane.take(10))
        assert [future.result(10).values[0] for future in futures] == [3.0 * (n % 10) for n in range(100)]
        assert len(client._session._pending) == 0

    def test_a_different_request_under_the_same_id_is_refused(self, client, worker):
        client.predict(MODEL, ROWS, id="x")

        with pytest.raises(BadInput, match="id='x' was already used for another request"):
            client.predict(MODEL, np.ones((5, 3)), id="x")
        with pytest.raises(BadInput, match="predict of 2 rows"):
            client.predict(MODEL, ROWS, id="x", method="predict_proba")

    def test_an_expired_request_may_be_sent_again(self, client, lane, server):
        first = client.submit(MODEL, ROWS, id="x")
        lane.answer(lane.take(), Expired("too late"))
        with pytest.raises(Expired):
            first.result(10)

        second = client.submit(MODEL, ROWS, id="x")
        lane.answer(lane.take())

        assert len(second.result(10)) == 2

    def test_the_result_of_an_earlier_request_does_not_answer_one_that_is_not_sent_yet(
        self, client, lane, server, monkeypatch
    ):
        # Given an id whose first request has expired, and a slow network
        first = client.submit(MODEL, ROWS, id="x")
        lane.answer(lane.take(), Expired("too late"))
        with pytest.raises(Expired):
            first.result(10)
        checked, put, network = threading.Event(), LeasedQueue.put, threading.Event()
        check = ReplyListener._check_pending

        def slow_put(*args, **kwargs):
            assert network.wait(10)
            return put(*args, **kwargs)

        def check_now(listener, min_age_s):
            n_final = check(listener, 0.0)
            checked.set()
            return n_final

        monkeypatch.setattr(LeasedQueue, "put", slow_put)
        monkeypatch.setattr(ReplyListener, "_check_pending", check_now)

        # When the client looks for stored results before it has sent the second request
        second = client.submit(MODEL, ROWS, id="x")
        checked.clear()
        assert checked.wait(10)
        network.set()
        lane.answer(lane.take())

        # Then the second one gets its own answer
        assert len(second.result(10)) == 2

    def test_an_id_can_be_used_again_when_its_answer_has_expired(self, client, lane, server):
        first = client.submit(MODEL, ROWS, id="x")
        lane.answer(lane.take())
        first.result(10)
        server.delete("celery-task-meta-x")

        second = client.submit(MODEL, ROWS, id="x")
        lane.answer(lane.take())

        assert len(second.result(10)) == 2

    def test_its_placeholder_expires_if_no_answer_arrives(self, opened, server):
        client = opened(predict_limit_s=100.0)
        client.submit(MODEL, ROWS, id="x", ttl_s=50.0)
        client.flush()

        assert 140 < server.ttl("celery-task-meta-x") <= 150

    def test_a_refused_request_leaves_no_placeholder(self, opened, server):
        client = opened(max_depth=1)
        client.submit(MODEL, ROWS)
        client.flush()
        refused = client.submit(MODEL, ROWS, id="x")
        assert refused.exception(10) is not None

        assert not server.exists("celery-task-meta-x")

    def test_a_repeated_put_returns_the_same_positions(self, server, lane):
        from modelane.broker.lease import IdempotencyKey

        queue, keys = lane._queue, [IdempotencyKey(id_, b"taken", 60) for id_ in ("a", "b", "a")]
        said = [
            queue.put([b"1", b"2", b"3"], max_depth=10, token="t", idempotency_keys=keys) for _ in range(2)
        ]

        assert said == [[2], [2]]
        assert queue.depth() == 2

    @pytest.mark.parametrize("id_", ["", " ", "a b", "ä", "a\n", "x" * 201, 7, b"x", ["x"]])
    def test_an_invalid_id_is_refused(self, client, id_):
        with pytest.raises(BadInput, match="id="):
            client.submit(MODEL, ROWS, id=id_)
        with pytest.raises(BadInput, match="id="):
            client.attach(id_)


class TestAttach:
    def test_a_waiting_request_is_answered_promptly(self, opened, lane, server, promptly):
        sent = opened().submit(MODEL, ROWS)
        attached = opened().attach(sent.id)
        until(lambda: server.exists(ATTACHED_KEY))

        with promptly():
            lane.answer(lane.take())
            assert len(attached.result(10)) == len(sent.result(10)) == 2
        until(lambda: not server.keys(f"{ATTACHED_KEY}.*"))

    def test_an_answered_request_completes_immediately(self, opened, lane, promptly):
        sent = opened().submit(MODEL, ROWS)
        lane.answer(lane.take())
        sent.result(10)

        with promptly():
            assert len(opened().attach(sent.id).result(10)) == 2

    def test_an_unknown_id_times_out(self, client):
        with pytest.raises(TimedOut, match="check the id"):
            client.attach("nobody", timeout_s=0.2).result(10)

    def test_a_cancelled_request_fails_immediately_without_a_worker(self, opened, client, server, promptly):
        sent = client.submit(MODEL, ROWS)
        client.flush()
        sent.cancel()
        until(lambda: server.zscore(REVOKED_KEY, sent.id))

        with promptly(), pytest.raises(Revoked, match="the request was cancelled before it was answered"):
            opened().attach(sent.id).result(10)

    def test_a_request_cancelled_after_its_answer_has_the_answer(self, opened, client, lane, server):
        sent, other = (client.submit(MODEL, ROWS) for _ in range(2))
        lane.answer(lane.take(2))
        sent.result(10)
        server.zadd(REVOKED_KEY, {sent.id: time.time()})

        attached = opened().attach(sent.id)

        assert len(attached.result(10)) == len(other.result(10)) == 2

    def test_the_sender_can_attach_twice_to_its_own_request(self, client, lane):
        sent = client.submit(MODEL, ROWS)
        attached = [client.attach(sent.id) for _ in range(2)]

        lane.answer(lane.take())

        assert [len(future.result(10)) for future in (sent, *attached)] == [2, 2, 2]

    def test_attaching_is_retried_while_redis_does_not_answer(self, client, lane, monkeypatch, caplog):
        asked, asked_again = threading.Event(), threading.Event()
        mget = redis.Redis.mget

        def moody(self, *keys):
            if threading.current_thread().name == "modelane-outbox":
                if not asked.is_set():
                    asked.set()
                    raise redis.ConnectionError("gone for a moment")
                asked_again.set()
            return mget(self, *keys)

        monkeypatch.setattr(redis.Redis, "mget", moody)
        sent = client.submit(MODEL, ROWS)

        attached = client.attach(sent.id)

        assert asked_again.wait(10)
        lane.answer(lane.take())
        assert len(attached.result(10)) == 2
        assert "Traceback" not in caplog.text

    def test_many_requests_are_attached_together(self, opened, lane):
        sent = [opened_.submit(MODEL, ROWS * n) for opened_ in [opened()] for n in range(2000)]
        other = opened()
        attached = [other.attach(future.id) for future in sent]
        lane.answer(lane.take(2000))

        assert [future.result(10).values[0] for future in attached] == [3.0 * n for n in range(2000)]

    def test_without_attaching_nothing_is_left_in_redis(self, client, worker, server):
        client.predict(MODEL, ROWS)

        assert not server.keys(f"{ATTACHED_KEY}*")

    def test_its_keys_in_redis_expire(self, client, server):
        client.attach("a", timeout_s=5)
        until(lambda: server.exists(f"{ATTACHED_KEY}.a"))
        client.attach("b", timeout_s=50)
        until(lambda: server.exists(f"{ATTACHED_KEY}.b"))

        assert 0 < server.ttl(f"{ATTACHED_KEY}.a") <= 5
        assert 40 < server.ttl(f"{ATTACHED_KEY}.b") <= 50
        assert 40 < server.ttl(ATTACHED_KEY) <= 50

    def test_a_request_of_a_celery_client_can_be_attached_to(self, client, lane, redis_url):
        with Celery(broker=redis_url, backend=redis_url) as app:
            sent = app.send_task("modelane.predict", args=[MODEL, [[1.0, 2.0]]], queue=predict_queue(MODEL))
            attached = client.attach(sent.id)
            (lease,) = lane.take()
            value = {"model": MODEL, "version": "v", "method": "predict", "values": [3.0]}
            document = {"task_id": sent.id, "status": "SUCCESS", "result": value}
            lane.settle(lease, json.dumps(document).encode())

        assert attached.result(10).values.tolist() == [3.0]


class TestIgnoreResult:
    def test_it_completes_when_redis_has_accepted_it_and_nothing_is_stored(self, client, worker, server):
        future = client.submit(MODEL, ROWS, ignore_result=True)

        assert future.result(10) is None
        assert future.sent
        until(lambda: not server.exists(predict_queue(MODEL), f"{predict_queue(MODEL)}.leased"))
        assert not server.keys("celery-task-meta-*")

    def test_with_an_id_it_is_put_once(self, client, server):
        for _ in range(3):
            client.submit(MODEL, ROWS, ignore_result=True, id="x").result(10)

        assert server.llen(predict_queue(MODEL)) == 1
        with pytest.raises(NotAnswered, match="x was sent with ignore_result"):
            client.predict(MODEL, ROWS, id="x")


class TestCancel:
    def test_a_sent_request_is_revoked(self, client, server):
        future = client.submit(MODEL, ROWS)
        client.flush()

        assert future.cancel()

        assert future.cancelled()
        until(lambda: server.zscore(REVOKED_KEY, future.id))

    def test_revoked_ids_are_bounded_in_number_and_time(self, client, server):
        old_s = time.time() - REVOKED_TTL_S - 60
        server.zadd(REVOKED_KEY, {f"old-{n}": old_s for n in range(10)})
        server.zadd(REVOKED_KEY, {f"new-{n}": time.time() - 60 for n in range(MAX_REVOKED)})
        sent = client.submit(MODEL, ROWS)
        client.flush()

        sent.cancel()

        until(lambda: server.zscore(REVOKED_KEY, sent.id))
        assert server.zcard(REVOKED_KEY) == MAX_REVOKED
        assert server.zscore(REVOKED_KEY, "old-0") is None

    def test_it_is_published_to_workers(self, client, server):
        with server.pubsub() as heard:
            heard.subscribe(REVOKED_KEY)
            assert heard.get_message(timeout=5)["type"] == "subscribe"
            future = client.submit(MODEL, ROWS)
            client.flush()

            future.cancel()

            assert json.loads(heard.get_message(timeout=5)["data"]) == [future.id]

    def test_a_completed_future_cannot_be_cancelled(self, client, worker):
        future = client.submit(MODEL, ROWS)
        future.result(10)

        assert not future.cancel()
        assert len(future.result(0)) == 2

    def test_a_request_cancelled_before_it_was_sent_is_not_sent_but_revoked(self, opened, tmp_path):
        import redis

        from modelane.local.redis_server import RedisServer

        with RedisServer(folder=tmp_path) as own, redis.Redis.from_url(own.url) as server:
            client = opened(broker_url=own.url)
            client.submit(MODEL, ROWS).cancel()
            client.flush()
            own.kill()
            time.sleep(0.1)
            client.submit("other", ROWS)  # Redis is away: what comes now waits behind this one
            time.sleep(0.5)
            cancelled = client.submit(MODEL, ROWS)
            cancelled.cancel()
            own.start()
            client.flush()

            assert server.llen(predict_queue(MODEL)) <= 1
            until(lambda: server.zscore(REVOKED_KEY, cancelled.id))

    def test_wait_and_as_completed_return_it(self, client):
        futures = [client.submit(MODEL, ROWS) for _ in range(3)]
        waiting = concurrent.futures.ThreadPoolExecutor(2)
        done = waiting.submit(concurrent.futures.wait, futures, 10)
        completed = waiting.submit(lambda: list(concurrent.futures.as_completed(futures, 10)))
        time.sleep(0.05)

        for future in futures:
            assert future.cancel()
            assert future.cancel(), "cancelling twice is harmless"

        assert done.result(10).done == set(futures)
        assert set(completed.result(10)) == set(futures)

    def test_a_callback_is_called_once(self, client):
        heard = []
        future = client.submit(MODEL, ROWS)
        future.add_done_callback(heard.append)

        future.cancel()
        future.cancel()

        assert heard == [future]

    def test_another_future_of_the_same_id_continues(self, client, lane, server):
        first, second = (client.submit(MODEL, ROWS, id="x") for _ in range(2))
        client.flush()

        first.cancel()
        lane.answer(lane.take())

        assert len(second.result(10)) == 2
        assert server.zscore(REVOKED_KEY, "x") is None

    def test_cancelling_an_attached_future_revokes_the_request_for_all(self, opened, client, server):
        sent = client.submit(MODEL, ROWS)
        client.flush()

        opened().attach(sent.id).cancel()

        until(lambda: server.zscore(REVOKED_KEY, sent.id))

    def test_a_task_that_is_cancelled_while_it_awaits_revokes_its_request(self, client, server):
        async def main():
            future = client.submit(MODEL, ROWS)
            await asyncio.to_thread(client.flush)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(future, 0.05)
            return future

        future = asyncio.run(main())

        assert future.cancelled()
        until(lambda: server.zscore(REVOKED_KEY, future.id))

    def test_it_continues_while_another_task_awaits_it(self, client, lane):
        async def awaited(future):
            return await future

        async def main():
            future = client.submit(MODEL, ROWS)
            first, second = (asyncio.ensure_future(awaited(future)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.sleep(0.05)
            lane.answer(lane.take())
            return await second

        assert len(asyncio.run(main())) == 2

    @pytest.mark.parametrize("how", ["named", "attached"])
    def test_a_shared_request_continues_when_its_task_is_cancelled(self, client, opened, lane, server, how):
        async def main():
            if how == "named":
                future = client.submit(MODEL, ROWS, id="x")
            else:
                future = client.attach(opened().submit(MODEL, ROWS).id)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(future, 0.05)
            await asyncio.to_thread(lambda: lane.answer(lane.take()))
            return await future

        assert len(asyncio.run(main())) == 2
        assert not server.exists(REVOKED_KEY)

    def test_a_task_that_awaits_a_cancelled_future_is_cancelled(self, client):
        async def main():
            future = client.submit(MODEL, ROWS)
            asyncio.get_running_loop().call_later(0.05, future.cancel)
            await future

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())


def until(condition) -> None:
    eventually(condition, "what the test waits for", poll_s=0.005)
