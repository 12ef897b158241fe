"""Dead letters are found, redriven once and dropped once."""

import json
import re

import numpy as np
import pytest

from modelane.broker.dead_letters import DeadLetters
from modelane.broker.lease import Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.keys import QueueKeys, predict_queue
from modelane.protocol import message as wire


def a_message(id_: str, priority: int = 0, expires_s: float | None = None) -> bytes:
    return wire.write_message(
        id=id_,
        task="modelane.predict",
        queue="q",
        args=("churn", np.zeros((1, 3))),
        kwargs={},
        rows=1,
        argsrepr="('churn', [1x3 float64])",
        reply_to="modelane.reply.me",
        sent_s=1.0,
        origin="1@host",
        priority=priority,
        expires_s=expires_s,
    )


@pytest.fixture(params=["", "shop:", "a*[b]:"])
def prefix(request) -> str:
    return request.param


@pytest.fixture
def letters(server, prefix) -> DeadLetters:
    return DeadLetters(server, prefix)


@pytest.fixture
def bury(server, prefix):
    def bury(message: bytes, id_: str, model: str = "churn") -> LeasedQueue:
        queue = LeasedQueue(server, QueueKeys(predict_queue(model), prefix))
        queue.put([message], max_depth=10)
        (lease,) = reserve(queue)
        queue.settle([Settlement(lease.tag, id_, b"\x80", 60, bury_reason="three workers were lost")])
        return queue

    return bury


def reserve(queue):
    return queue.reserve(lease_s=60, max_requests=10, max_rows=10, max_bytes=10**6, max_attempts=3).leases


def test_a_dead_letter_is_found_with_its_reason_and_message(bury, letters):
    bury(a_message("id-1"), "id-1")

    letter = letters.find("id-1")

    assert (letter.queue, letter.reason) == ("modelane.predict.churn", "three workers were lost")
    assert letter.message == a_message("id-1")
    assert letter.envelope.headers.argsrepr == "('churn', [1x3 float64])"
    assert letters.find("id-2") is None


def test_dead_letters_of_all_queues_under_the_prefix_are_listed(bury, letters, server):
    bury(a_message("id-1"), "id-1", "churn")
    bury(a_message("id-2"), "id-2", "fraud")
    server.hset("other:modelane.predict.x.dead", "id-3", "r\nm")

    assert letters.queues() == ["modelane.predict.churn", "modelane.predict.fraud"]
    assert [letter.id for queue in letters.queues() for letter in letters.of(queue)] == ["id-1", "id-2"]


def test_a_redriven_message_has_no_attempts_and_its_failure_is_deleted(bury, letters, server, prefix):
    message = b'{"attempts":3,' + a_message("id-1", priority=6)[1:]
    queue = bury(message, "id-1")
    letter = letters.find("id-1")

    assert letters.redrive(letter)
    assert not letters.redrive(letter), "only once"

    assert server.lrange(queue.keys.priorities[2], 0, -1) == [a_message("id-1", priority=6)]
    assert server.get(f"{prefix}celery-task-meta-id-1") is None
    assert [lease.message for lease in reserve(queue)] == [a_message("id-1", priority=6)]


def test_a_redriven_message_has_no_deadline_and_is_otherwise_unchanged(bury, letters):
    message = a_message("id-1", expires_s=1.0).replace(b'"headers":{', b'"headers":{"timelimit":[2e-7,null],')
    assert wire.read_envelope(message).expires_s == 1.0
    queue = bury(b'{"attempts":3,' + message[1:], "id-1")

    assert letters.redrive(letters.find("id-1"))

    (lease,) = reserve(queue)
    assert wire.read_envelope(lease.message).expires_s is None
    assert lease.message == re.sub(rb'"expires":"[^"]*"', b'"expires":null', message)


def test_a_message_of_protocol_1_is_redriven_too(bury, letters):
    task = {"task": "modelane.predict", "id": "id-1", "args": ["churn", [[1.0]]], "kwargs": {}}
    outer = {
        "body": json.dumps(task | {"expires": "1970-01-01T00:00:01+00:00"}),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": None,
        "properties": {"priority": 0},
    }
    queue = bury(b'{"attempts":3,' + json.dumps(outer).encode()[1:], "id-1")

    assert letters.redrive(letters.find("id-1"))

    (lease,) = reserve(queue)
    envelope = wire.read_envelope(lease.message)
    assert (envelope.headers.id, envelope.attempts, envelope.expires_s) == ("id-1", 0, None)
    assert wire.read_body(envelope)[0] == ["churn", [[1.0]]]


def test_a_dropped_letter_is_gone(bury, letters):
    queue = bury(a_message("id-1"), "id-1")
    letter = letters.find("id-1")

    assert letters.drop(letter)
    assert not letters.drop(letter)

    assert letters.find("id-1") is None
    assert reserve(queue) == ()


def test_a_dead_letter_that_is_not_a_message_can_be_shown_and_dropped_but_not_redriven(bury, letters):
    bury(b"\xffnonsense\nwith lines", "?1L:tag")
    letter = letters.find("?1L:tag")

    assert letter.message == b"\xffnonsense\nwith lines"
    assert letter.envelope is None
    assert not letters.redrive(letter)
    assert letters.drop(letter)
