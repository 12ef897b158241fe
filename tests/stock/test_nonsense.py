"""Messages that no client should write, and tasks that go too far: each is told, and the next one runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from stock.caller import LANE, MODEL, TASKS, get, refusal
from support.waiting import eventually


@pytest.fixture
def put(workplace, caller):
    """Put a message as it is into a queue; its result."""

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
    """Whether what Celery runs out of a lane goes on."""

    def leases() -> list[bytes]:
        """Not what waits for its time, of which other tests have left some."""
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
def test_a_task_that_ends_its_thread_is_told_and_the_next_one_runs(caller, is_free, queue, task, words):
    error = refusal(caller.task(task, queue=queue).delay())

    assert words in repr(error)
    assert is_free(queue)


@pytest.mark.parametrize("queue", [TASKS, LANE], ids=["own queue", "lane"])
def test_a_chain_of_numbers_is_told_and_the_next_one_runs(put, is_free, queue):
    assert "int" in str(refusal(put(f"chain in {queue}", queue=queue, embed={"chain": [5]})))
    assert is_free(queue)


def test_a_time_limit_that_is_none_is_told_and_what_is_linked_too(put, caller, is_free, worker):
    link = {"callbacks": [caller.task("echo")], "errbacks": [caller.task("note_error")]}

    error = refusal(put("ill limit", embed=link, timelimit=5))

    assert "Celery cannot run this message" in str(error)
    assert "Celery cannot run this message" in get(caller.result("told-ill limit"))
    assert is_free()


def test_a_time_that_has_come_is_not_waited_for_again(put, is_free, caller):
    """Celery would, on its own clock, and in a place where nobody hears what is wrong with a message."""
    come = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    error = refusal(put("late", embed={"callbacks": [caller.task("echo")]}, timelimit=5, eta=come))

    assert "Celery cannot run this message" in str(error)
    assert is_free()


def test_what_even_celery_cannot_refuse_is_told_all_the_same(put, is_free):
    error = refusal(put("no refusal", embed={"chain": [5]}, timelimit=5))

    assert "Celery cannot run this message" in str(error)
    assert is_free()


def test_a_header_of_another_type_is_told_under_the_id_that_can_be_read(put, is_free):
    error = refusal(put("ill header", retries="x"))

    assert type(error).__name__ == "Undecodable"
    assert "$.headers.retries" in str(error)
    assert is_free()
