"""Every future completes, with an answer or an error."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from celery import Celery

from client.lane import MODEL, deeply_nested
from modelane.app import build
from modelane.client import Client
from modelane.client.transport import outbox, reply_listener
from modelane.errors import (
    BrokerUnavailable,
    ClientClosed,
    Expired,
    ModelaneError,
    PredictionFailed,
    Revoked,
    TimedOut,
    Undecodable,
)
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings

ROWS = np.ones((2, 3))


def test_each_future_gets_the_answer_to_its_own_request(client, worker):
    futures = [client.submit(MODEL, ROWS * n) for n in range(300)]

    for n, future in enumerate(futures):
        assert future.result(10).values.tolist() == [3.0 * n, 3.0 * n]


class TestUnreadable:
    @pytest.mark.parametrize("form", ["msgpack", "json"])
    def test_a_deeply_nested_reply_fails_its_future_only(self, client, lane, form):
        future = client.submit(MODEL, ROWS)
        (lease,) = lane.take()
        lane.settle(lease, deeply_nested(future.id, form))

        with pytest.raises(Undecodable, match="the answer cannot be read"):
            future.result(10)

        after = client.submit(MODEL, ROWS)
        lane.answer(lane.take())
        assert len(after.result(10)) == 2

    @pytest.mark.parametrize("result", [{"values": [1.0]}, None, [7], {"values": {}, "model": 3}])
    def test_a_malformed_answer_fails_its_future_only(self, client, lane, server, result):
        future = client.submit(MODEL, ROWS)
        lane.take()
        document = {"task_id": future.id, "status": "SUCCESS", "result": result}
        server.set(f"celery-task-meta-{future.id}", json.dumps(document))

        with pytest.raises(Undecodable, match="the answer cannot be read"):
            future.result(10)

    def test_a_callback_that_raises_stops_no_thread(self, client, worker):
        first = client.submit(MODEL, ROWS)
        first.add_done_callback(lambda _: 1 / 0)

        assert len(first.result(10)) == 2
        assert len(client.predict(MODEL, ROWS)) == 2

    def test_an_unexpected_error_in_the_listener_is_logged_and_retried(
        self, client, worker, monkeypatch, caplog
    ):
        check = reply_listener.ReplyListener._check_pending
        failures = iter([ValueError("a bug"), RecursionError("another")])

        def fail_twice(self, min_age_s):
            if (error := next(failures, None)) is not None:
                raise error
            return check(self, min_age_s)

        monkeypatch.setattr(reply_listener.ReplyListener, "_check_pending", fail_twice)

        assert len(client.predict(MODEL, ROWS, timeout_s=10)) == 2
        assert "a bug" in caplog.text

    def test_an_unexpected_error_in_the_outbox_fails_its_messages_only(self, client, worker, monkeypatch):
        put = outbox.Outbox._put
        failures = iter([ValueError("a bug")])

        def fail_once(self, run, token):
            if (error := next(failures, None)) is not None:
                raise error
            return put(self, run, token)

        monkeypatch.setattr(outbox.Outbox, "_put", fail_once)

        with pytest.raises(ModelaneError, match="cannot be sent: ValueError"):
            client.predict(MODEL, ROWS)
        assert len(client.predict(MODEL, ROWS)) == 2


class TestStoredByCelery:
    """Celery itself stores results of revoked tasks, and of tasks that its own consumer runs."""

    @pytest.fixture
    def celery(self, redis_url) -> Celery:
        return build(Settings(broker_url=redis_url), result_serializer="json")

    def test_a_success_is_read(self, client, lane, celery):
        future = client.retrain(MODEL)
        value = {"model": MODEL, "version": "v", "promoted": True, "reason": "why", "metrics": {}}
        celery.backend.store_result(future.id, value, "SUCCESS")

        assert future.result(10).promoted

    def test_a_failure_is_read(self, client, celery):
        future = client.submit(MODEL, ROWS)
        celery.backend.mark_as_failure(future.id, ZeroDivisionError("by zero"))

        with pytest.raises(PredictionFailed, match="ZeroDivisionError: by zero"):
            future.result(10)

    def test_a_revoked_task_fails_with_revoked(self, client, celery):
        future = client.submit(MODEL, ROWS)
        celery.backend.mark_as_revoked(future.id, "revoked")

        with pytest.raises(Revoked, match="revoked"):
            future.result(10)

    def test_a_started_task_stays_pending(self, client, lane, celery):
        future = client.submit(MODEL, ROWS)
        celery.backend.store_result(future.id, {"pid": 7}, "STARTED")
        time.sleep(reply_listener.CHECK_S * 1.5)

        assert not future.done()
        lane.answer(lane.take())
        assert len(future.result(10)) == 2

    @pytest.mark.parametrize("error", [Expired("too late"), Revoked("cancelled"), PredictionFailed("no")])
    def test_an_error_of_our_own_worker_is_read(self, client, lane, error):
        future = client.submit(MODEL, ROWS)
        lane.answer(lane.take(), error)

        with pytest.raises(type(error), match=str(error)):
            future.result(10)


class TestTooLate:
    @pytest.mark.parametrize("timeout_s", [0.05, 0.1, 0.3])
    def test_a_timeout_is_met_within_a_fraction_of_a_second(self, client, timeout_s):
        client.submit(MODEL, ROWS, timeout_s=60)
        started_s = time.monotonic()

        with pytest.raises(TimedOut):
            client.submit(MODEL, ROWS, timeout_s=timeout_s).result(10)

        # 50 ms are promised; the machine may be busy.
        assert timeout_s <= time.monotonic() - started_s < timeout_s + 0.25

    def test_many_timeouts_together_are_met(self, client):
        futures = [client.submit(MODEL, ROWS, timeout_s=0.05 + n / 1000) for n in range(200)]

        # On a busy machine Redis may not even have accepted the first ones by then.
        assert all(isinstance(future.exception(5), TimedOut | BrokerUnavailable) for future in futures)

    def test_the_message_of_a_timeout_fits_the_request(self, client):
        with pytest.raises(TimedOut, match=r"no answer within 0.3 s: check that a worker serves this model"):
            client.predict(MODEL, ROWS, timeout_s=0.3)
        with pytest.raises(TimedOut, match="check that a trainer is running"):
            client.retrain(MODEL, timeout_s=0.3).result(10)

    def test_the_error_of_a_request_that_redis_never_accepted_gives_the_reason(self, opened, free_port):
        away = opened(broker_url=f"redis://127.0.0.1:{free_port}/0")

        with pytest.raises(BrokerUnavailable, match=r"did not accept the request within 0.5 s: .*refused"):
            away.predict(MODEL, ROWS, timeout_s=0.5)

    def test_the_error_for_a_wrong_password_does_not_contain_it(self, opened, server, redis_url):
        server.config_set("requirepass", "right")
        try:
            outsider = opened(broker_url=redis_url.replace("redis://", "redis://:geheim@"))
            with pytest.raises(
                BrokerUnavailable, match="authentication failed: check user and password"
            ) as told:
                outsider.predict(MODEL, ROWS, timeout_s=0.5)
        finally:
            server.config_set("requirepass", "")
        assert "geheim" not in str(told.value)

    def test_sent_is_true_after_redis_accepted_the_request(self, client):
        future = client.submit(MODEL, ROWS)
        client.flush()

        assert future.sent


class TestClosed:
    def test_nothing_is_pending_after_close(self, opened):
        client = opened()
        futures = [client.submit(MODEL, ROWS) for _ in range(10)]

        client.close()

        for future in futures:
            with pytest.raises(ClientClosed, match="closed before the answer arrived"):
                future.result(0)

    def test_what_is_submitted_after_close_is_refused_and_starts_no_thread(self, opened):
        client = opened()
        client.close()
        client.close()
        before = threading.active_count()

        with pytest.raises(ClientClosed, match="the client is closed"):
            client.submit(MODEL, ROWS)
        with pytest.raises(ClientClosed):
            client.retrain(MODEL)
        client.flush()
        assert threading.active_count() == before

    def test_a_close_during_submits_leaves_no_future_behind(self, opened):
        for _ in range(5):
            client, futures, closed = opened(), [], threading.Event()

            def submit(client=client, futures=futures, closed=closed):
                try:
                    while True:
                        futures.append(client.submit(MODEL, ROWS))
                except ClientClosed:
                    closed.set()

            threads = [threading.Thread(target=submit) for _ in range(4)]
            for thread in threads:
                thread.start()
            while len(futures) < 50:
                time.sleep(0.001)
            client.close()
            for thread in threads:
                thread.join(10)

            assert closed.is_set()
            assert all(future.done() for future in futures)

    def test_a_frozen_redis_delays_close_by_its_timeout_only(self, opened):
        with RedisServer() as own:
            client = Client(settings=Settings(broker_url=own.url))
            client.submit(MODEL, ROWS)
            client.flush()
            os.kill(own.pid, signal.SIGSTOP)
            future = client.submit(MODEL, ROWS)
            started_s = time.monotonic()

            client.close(timeout_s=0.5)

            assert time.monotonic() - started_s < 2
            assert isinstance(future.exception(0), ClientClosed)
            os.kill(own.pid, signal.SIGCONT)

    def test_close_waits_only_for_requests_that_are_not_sent_yet(self, opened):
        client = opened()
        client.submit(MODEL, ROWS)
        client.flush()
        started_s = time.monotonic()

        client.close()

        assert time.monotonic() - started_s < 0.5

    def test_a_callback_may_close_the_client(self, opened, lane):
        client = opened()
        first, *others = [client.submit(MODEL, ROWS) for _ in range(3)]
        first.add_done_callback(lambda _: client.close())

        lane.answer(lane.take(3)[:1])

        assert len(first.result(10)) == 2
        assert all(isinstance(other.exception(10), ClientClosed) for other in others)

    def test_a_context_manager_closes(self, redis_url, worker):
        with Client(redis_url) as client:
            assert len(client.predict(MODEL, ROWS)) == 2
        with pytest.raises(ClientClosed):
            client.submit(MODEL, ROWS)
