"""Malformed messages, and tasks that end their thread: each gets an error, and the next request is served."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from stock.caller import LANE, MODEL, TASKS, get, refusal
from support.waiting import eventually


@pytest.fixture
def put(workplace, caller):
    """Return a function that puts a message unchanged into a queue and returns its result."""

    def put(id_: str, *, queue: str = LANE, embed: dict | None = None, **headers: object):
        canvas = dict.fromkeys(("callbacks", "errbacks", "chain", "chord")) | (embed or {})
        body = [[MODEL, caller.rows[:1]], {}, canvas]
        message = {
            "body": json.dumps(body),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": "modelane.predict", "id": id_, "root_id": id_} | headers,
            "properties": {
                "correlation_id": id_,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_tag": id_,
            },
        }
        workplace.redis.lpush(queue, json.dumps(message))
        return caller.result(id_)

    return put


@pytest.fixture
def is_free(workplace, caller):
    """Return a function that checks that Celery still runs the handoffs of a lane."""

    def leases() -> list[bytes]:
        """Return the leased batches without delayed messages, some of which other tests have left."""
        return [batch for batch in workplace.redis.hkeys(f"{LANE}.leased") if batch[1:2] == b"L"]

    def is_free(queue: str = LANE) -> bool:
        eventually(lambda: not leases(), "the lease's end")
        return get(caller.task("echo", 7, queue=queue).delay()) == 7

    return is_free


@pytest.mark.parametrize("queue", [TASKS, LANE], ids=["own queue", "lane"])
@pytest.mark.parametrize(
    ("task", "words"),
    [("leave", "exitcode 3"), ("interrupt", "KeyboardInterrupt"), ("run_out", "MemoryError")],
)
def test_a_task_that_ends_its_thread_fails_and_the_next_one_runs(caller, is_free, queue, task, words):
    error = refusal(caller.task(task, queue=queue).delay())

    assert words in repr(error)
    assert is_free(queue)


@pytest.mark.parametrize("queue", [TASKS, LANE], ids=["own queue", "lane"])
def test_a_chain_of_numbers_fails_and_the_next_task_runs(put, is_free, queue):
    assert "int" in str(refusal(put(f"chain in {queue}", queue=queue, embed={"chain": [5]})))
    assert is_free(queue)


def test_a_malformed_time_limit_fails_and_the_errback_gets_the_error(put, caller, is_free, worker):
    link = {"callbacks": [caller.task("echo")], "errbacks": [caller.task("note_error")]}

    error = refusal(put("ill limit", embed=link, timelimit=5))

    assert "Celery cannot run this message" in str(error)
    assert "Celery cannot run this message" in get(caller.result("told-ill limit"))
    assert is_free()


def test_a_task_does_not_wait_again_for_an_eta_that_has_passed(put, is_free, caller):
    """Celery would wait for it by its own clock, at a place where a malformed message is not reported."""
    come = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    error = refusal(put("late", embed={"callbacks": [caller.task("echo")]}, timelimit=5, eta=come))

    assert "Celery cannot run this message" in str(error)
    assert is_free()


def test_the_caller_gets_an_error_even_if_celery_cannot_refuse_the_message(put, is_free):
    error = refusal(put("no refusal", embed={"chain": [5]}, timelimit=5))

    assert "Celery cannot run this message" in str(error)
    assert is_free()


def test_a_header_of_a_wrong_type_fails_the_request_whose_id_can_be_read(put, is_free):
    error = refusal(put("ill header", retries="x"))

    assert type(error).__name__ == "Undecodable"
    assert "$.headers.retries" in str(error)
    assert is_free()
