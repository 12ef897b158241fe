"""How a plain Celery client requests one prediction, with every option that Celery has."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import TaskRevokedError

from stock.caller import LANE, TASKS, get, refusal
from support.waiting import eventually


def test_delay_returns_the_prediction_of_the_model(caller, expected):
    answer = get(caller.predict(n=5).delay())

    assert set(answer) == {"model", "version", "method", "values"}
    assert answer["values"] == expected[:5]


def test_get_raises_an_error_that_says_what_was_expected(caller):
    error = refusal(caller.wrong().delay())

    assert type(error).__name__ == "BadInput"
    assert "takes 30 features" in str(error)


def test_unknown_arguments_are_refused_by_name(caller):
    error = refusal(caller.predict(colour="red").delay())

    assert "modelane.predict(model, rows, method, columns, params, version)" in str(error)
    assert "colour" in str(error)


def test_an_unknown_task_is_refused_by_name(caller):
    error = refusal(caller.app.send_task("shop.unknown", queue=LANE))

    assert "no task 'shop.unknown'" in str(error)


def test_an_expired_request_is_revoked_as_in_celery(caller, held_lane):
    with held_lane():
        expires = datetime.now(UTC) + timedelta(seconds=0.5)
        result = caller.predict().apply_async(expires=expires)
        eventually(lambda: datetime.now(UTC) > expires, "its deadline")

    assert isinstance(refusal(result), TaskRevokedError)
    assert result.state == "REVOKED"


def test_an_unexpired_request_is_answered(caller, expected):
    assert get(caller.predict().apply_async(expires=600))["values"] == expected[:1]


def test_requests_of_priority_0_are_served_before_those_of_9(caller, held_lane, listener):
    with held_lane():
        later = [caller.predict().apply_async(priority=9).id for _ in range(3)]
        first = [caller.predict().apply_async(priority=0).id for _ in range(3)]

    listener.until_ended(later + first)
    served = [event["uuid"] for event in listener.heard if event["type"] == "task-started"]
    assert max(map(served.index, first)) < min(map(served.index, later))


@pytest.mark.parametrize("when", ["countdown", "eta"])
def test_a_request_with_an_eta_is_not_answered_before_it(caller, expected, when):
    delay_s = 1.5
    moment = {
        "countdown": delay_s,
        "eta": datetime.now(UTC) + timedelta(seconds=delay_s),
    }
    sent_s = time.time()

    answer = get(caller.predict().apply_async(**{when: moment[when]}))

    assert answer["values"] == expected[:1]
    assert time.time() - sent_s >= delay_s - 0.1  # as far as clocks agree


@pytest.mark.parametrize("queue", [TASKS, LANE])
def test_a_link_gets_the_answer_whichever_queue_it_is_sent_to(caller, expected, queue):
    count = caller.task("positives", queue=queue).set(task_id=f"linked in {queue}")

    caller.predict(n=20).apply_async(link=count)

    assert get(caller.result(f"linked in {queue}")) == sum(expected[:20])


def test_an_errback_gets_the_error(caller):
    result = caller.wrong().apply_async(link_error=caller.task("note_error"))

    assert "takes 30 features" in str(refusal(result))
    told = f"told-{result.id}"
    eventually(lambda: caller.result(told).ready(), "the errback")
    assert "takes 30 features" in get(caller.result(told))


def test_an_ignored_result_is_not_stored(caller, listener):
    result = caller.predict().apply_async(ignore_result=True)

    listener.until_ended([result.id])
    assert listener.types(result.id) == ["received", "started", "succeeded"]
    assert caller.app.backend.client.get(f"celery-task-meta-{result.id}") is None


def test_messages_of_protocol_1_are_served(caller, expected):
    caller.app.conf.task_protocol = 1
    try:
        answered = caller.predict(n=3).delay()
        linked = caller.predict(n=20).apply_async(link=caller.task("positives").set(task_id="link-1"))
        wrong = caller.wrong().delay()
        late = caller.predict().apply_async(expires=datetime.now(UTC) - timedelta(seconds=5))
    finally:
        caller.app.conf.task_protocol = 2

    assert get(answered)["values"] == expected[:3]
    assert get(linked)["values"] == expected[:20]
    assert get(caller.result("link-1")) == sum(expected[:20])
    assert "takes 30 features" in str(refusal(wrong))
    assert isinstance(refusal(late), TaskRevokedError)


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "lzma"])
def test_a_compressed_request_is_served_alone_and_in_canvas(caller, expected, compression):
    request = caller.predict(n=5).set(compression=compression)

    linked = request.clone().apply_async(link=caller.task("positives", queue=TASKS))

    assert get(request.delay())["values"] == expected[:5]
    assert get(linked)["values"] == expected[:5]
    assert linked.get()["values"] == expected[:5]
