"""Remote control: what an operator does with ``celery inspect`` and ``celery control``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as NoAnswer

from stock.caller import LANE, MODEL, TASKS, get, refusal
from support.waiting import eventually

QUESTIONS = ("active", "reserved", "scheduled", "active_queues", "registered", "stats", "ping", "revoked")


@pytest.fixture
def ask(app, worker):
    """Return a function that sends one ``inspect`` command to the worker and returns the reply."""

    def ask(question: str, **options):
        answers = getattr(app.control.inspect([worker.name], timeout=10.0, limit=1), question)(**options)
        return answers[worker.name]

    return ask


@contextmanager
def load(caller, n_rows=40):
    """Send requests, about fifty in flight, as long as the context is open."""
    stopping = threading.Event()
    sent = []

    def send():
        while not stopping.is_set():
            together = [caller.predict(n=n_rows).delay() for _ in range(50)]
            sent.extend(together)
            together[-1].get(timeout=60)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        thread.join()


def test_every_inspect_command_is_answered_under_load(caller, ask, app, worker):
    broken = []

    def poll(question):
        for _ in range(20):
            answer = ask(question)
            if isinstance(answer, dict) and "error" in answer:
                broken.append((question, answer))

    with load(caller):
        threads = [threading.Thread(target=poll, args=(question,)) for question in QUESTIONS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert broken == []
    assert ask("ping") == {"ok": "pong"}


def test_active_shows_the_requests_of_a_lane_without_their_rows(caller, ask):
    seen = []

    def look():
        seen.extend(info for info in ask("active") if info["name"] == "modelane.predict")
        return seen

    with load(caller) as sent:
        eventually(look, "a request that is computed")

    shown = seen[0]
    assert shown["id"] in {result.id for result in sent}
    assert shown["delivery_info"]["routing_key"] == LANE
    assert isinstance(shown["args"], str)


def test_active_and_reserved_show_tasks_that_celery_runs(caller, ask):
    naps = [caller.task("nap", 2.0, queue=LANE).delay() for _ in range(3)]
    ids = {nap.id for nap in naps}

    def shown(question):
        return {info["id"] for info in ask(question)} & ids

    eventually(lambda: len(shown("active")) == 1 and len(shown("reserved")) == 2, "one active, two reserved")
    assert [get(nap) for nap in naps] == [2.0] * 3
    assert shown("active") == shown("reserved") == set()


def test_reserved_shows_the_prefetched_batch(caller, app, workplace, held_lane):
    with held_lane(), load(caller) as sent:
        # For this worker every batch is heavy, so it prefetches the next one while it computes.
        eager = workplace.worker(max_batch_bytes=2000)
        inspect = app.control.inspect([eager.name], timeout=10.0, limit=1)
        seen = set()

        def look():
            seen.update(info["id"] for info in inspect.reserved()[eager.name])
            return seen

        eventually(look, "a request that is held")

    assert seen <= {result.id for result in sent}
    assert eager.end() == 0, eager.said


def test_a_long_task_in_the_lane_does_not_delay_predictions(caller, expected):
    nap = caller.task("nap", 5.0, queue=LANE).delay()

    assert get(caller.predict().delay())["values"] == expected[:1]
    assert not nap.ready()
    get(nap)


def test_scheduled_shows_requests_that_wait_for_their_eta(caller, ask):
    eta = datetime.now(UTC) + timedelta(hours=1)
    result = caller.predict().apply_async(eta=eta)

    def shown():
        return [info for info in ask("scheduled") if info["request"]["id"] == result.id]

    eventually(shown, "the request in inspect scheduled")
    (info,) = shown()
    assert abs(datetime.fromisoformat(info["eta"]) - eta) < timedelta(minutes=1)  # by the clock of Redis
    assert info["request"]["name"] == "modelane.predict"
    assert result.id not in {info["id"] for info in ask("active") + ask("reserved")}


def test_an_eta_after_the_year_9999_is_shown(caller, ask):
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
    result = caller.predict().apply_async(eta=last)

    def shown():
        return [info["eta"] for info in ask("scheduled") if info["request"]["id"] == result.id]

    eventually(shown, "the request in inspect scheduled")
    assert shown() == ["9999-12-31T23:59:59+00:00"]


def test_registered_tasks_and_statistics_are_shown(caller, ask):
    before = ask("stats")["total"].get("modelane.predict", 0)
    for result in [caller.predict().delay() for _ in range(20)]:
        get(result)

    registered = ask("registered")
    stats = ask("stats")
    assert {"modelane.predict", "stock.tasks.echo"} <= set(registered)
    assert stats["total"]["modelane.predict"] == before + 20
    assert LANE in stats["lanes"]
    assert {queue["name"] for queue in ask("active_queues")} >= {LANE, TASKS}


def test_a_revoked_request_is_not_computed(caller, app, held_lane, listener):
    with held_lane():
        revoked, wanted = caller.predict().delay(), caller.predict().delay()
        app.control.revoke(revoked.id, reply=True)

    assert isinstance(refusal(revoked), TaskRevokedError)
    assert get(wanted)
    listener.until_ended([revoked.id])
    assert listener.types(revoked.id) == ["received", "revoked"]


def test_a_request_that_waits_for_its_eta_can_be_revoked(caller, app, listener, ask):
    result = caller.predict().apply_async(countdown=3.0)
    eventually(lambda: result.id in {i["request"]["id"] for i in ask("scheduled")}, "it in the lane")

    app.control.revoke(result.id, reply=True)

    assert isinstance(refusal(result), TaskRevokedError)
    listener.until_ended([result.id])
    assert listener.types(result.id) == ["received", "revoked"]


def test_a_worker_that_starts_later_knows_revoked_requests_and_obeys_a_remote_shutdown(
    caller, app, workplace, held_lane, worker
):
    with held_lane():
        result = caller.predict().delay()
        app.control.revoke(result.id, destination=[worker.name], reply=True)
        other = workplace.worker("--include", "stock.tasks")
        eventually(lambda: result.id in app.control.inspect([other.name]).revoked()[other.name], "the id")
        eventually(lambda: not workplace.redis.llen(LANE), "an empty lane")
        assert isinstance(refusal(result), TaskRevokedError)

        nap = caller.task("nap", 1.0, queue=LANE).delay()
        eventually(lambda: not workplace.redis.llen(LANE), "the nap in its hand")
        app.control.shutdown(destination=[other.name])
        eventually(lambda: not other.runs, "its end")

    assert other.end() == 0, other.said
    assert get(nap) == 1.0


def test_cancel_consumer_stops_a_lane_and_add_consumer_starts_it(caller, app, worker, workplace):
    app.control.cancel_consumer(LANE, destination=[worker.name], reply=True)
    eventually(lambda: LANE not in workplace.queues(worker), "the lane's end")
    waiting = caller.predict().delay()
    with pytest.raises(NoAnswer):
        waiting.get(timeout=1.0)

    app.control.add_consumer(LANE, destination=[worker.name], reply=True)

    assert get(waiting)
    assert LANE in workplace.queues(worker)


def test_an_ordinary_queue_can_be_added_and_cancelled_too(caller, app, worker, workplace):
    app.control.add_consumer("shop", destination=[worker.name], reply=True)
    assert get(caller.task("echo", 1, queue="shop").delay()) == 1

    app.control.cancel_consumer("shop", destination=[worker.name], reply=True)
    eventually(lambda: "shop" not in workplace.queues(worker), "its end")


def test_heartbeats_count_active_and_processed_tasks(caller, ask, listener, worker):
    with load(caller):
        eventually(lambda: listener.heartbeats(worker.name)[-1]["active"] > 0, "a heartbeat at work")

    done = sum(ask("stats")["total"].values())
    eventually(lambda: listener.heartbeats(worker.name)[-1]["processed"] == done, "the last count")
    assert listener.heartbeats(worker.name)[-1]["active"] == 0


def test_a_request_whose_stamp_was_revoked_is_not_computed(caller, app, held_lane, listener):
    order = app.signature("modelane.predict", args=(MODEL, caller.rows[:1]), queue=LANE)
    with held_lane():
        sent = {}
        for customer in ("ada", "bob", ["cyd", "ada"]):
            stamped = order.clone()
            stamped.stamp(customer=customer)
            sent[str(customer)] = stamped.apply_async()
        app.control.revoke_by_stamped_headers({"customer": ["ada"]}, reply=True)

    assert isinstance(refusal(sent["ada"]), TaskRevokedError)
    assert isinstance(refusal(sent["['cyd', 'ada']"]), TaskRevokedError)
    assert get(sent["bob"])
    listener.until_ended([sent["ada"].id])
    assert listener.types(sent["ada"].id) == ["received", "revoked"]


def test_a_lane_sends_no_events_while_they_are_disabled(caller, app, listener, worker):
    try:
        (told,) = app.control.disable_events([worker.name], reply=True)
        unheard, after_it = (caller.predict().delay() for _ in range(2))
        assert get(unheard)
        assert get(after_it)  # by then, the lane would have sent all events of the request before
    finally:
        app.control.enable_events([worker.name], reply=True)
    heard = caller.predict().delay()

    assert get(heard)
    listener.until_ended([heard.id])
    assert told[worker.name] == {"ok": "task events disabled"}
    assert listener.types(heard.id) == ["received", "started", "succeeded"]
    assert listener.types(unheard.id) == []
