"""Groups, chains and chords through predictions and ordinary tasks, in either queue."""

from __future__ import annotations

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError, TaskRevokedError

from stock.caller import LANE, MODEL, TASKS, get, refusal
from support.waiting import eventually

pytestmark = pytest.mark.parametrize("queue", [TASKS, LANE], ids=["own queue", "lane"])


def test_a_group_of_predictions_and_ordinary_tasks(caller, expected, queue):
    members = [caller.predict(n) for n in range(10)] + [caller.task("echo", 7, queue=queue)]

    *answers, echoed = get(group(members)())

    assert [answer["values"] for answer in answers] == [[value] for value in expected[:10]]
    assert echoed == 7


def test_a_chain_from_a_prediction_to_an_ordinary_task(caller, expected, queue):
    count = chain(caller.predict(n=20), caller.task("positives", queue=queue))

    assert get(count()) == sum(expected[:20])


def test_a_chain_from_an_ordinary_task_to_a_prediction(caller, expected, queue):
    load = caller.task("echo", caller.rows[:6], queue=queue)
    predict = caller.app.signature("modelane.predict", kwargs={"model": MODEL}, queue=LANE)

    assert get(chain(load, predict)())["values"] == expected[:6]


def test_a_chain_stops_at_an_invalid_request(caller, queue):
    result = chain(caller.wrong(), caller.task("positives", queue=queue))()

    assert "takes 30 features" in str(refusal(result.parent))
    assert "takes 30 features" in str(refusal(result))


def test_a_chord_of_predictions_with_an_ordinary_body(caller, expected, queue):
    result = chord([caller.predict(n) for n in range(10)], caller.task("together", queue=queue))()

    assert get(result) == expected[:10]


def test_a_chord_of_ordinary_tasks_with_a_prediction_as_its_body(caller, expected, queue):
    header = [caller.task("echo", row, queue=queue) for row in caller.rows[:4]]
    body = caller.app.signature("modelane.predict", kwargs={"model": MODEL}, queue=LANE)

    assert get(chord(header)(body))["values"] == expected[:4]


def test_a_chord_with_an_invalid_request_fails(caller, queue):
    result = chord([caller.predict(), caller.wrong()], caller.task("together", queue=queue))()

    assert "takes 30 features" in str(refusal(result))
    eventually(result.ready, "the chord's end")
    assert isinstance(result.result, ChordError)


def test_a_chord_with_a_revoked_request_fails(caller, held_lane, worker, queue):
    with held_lane():
        revoked = caller.predict().set(task_id=f"revoked member in {queue}")
        result = chord([caller.predict(), revoked], caller.task("together", queue=queue))()
        caller.app.control.revoke(revoked.options["task_id"], destination=[worker.name], reply=True)

    assert isinstance(refusal(result), TaskRevokedError)
    eventually(result.ready, "the chord's end")
    assert isinstance(result.result, ChordError)


def test_an_ordinary_task_can_retry(caller, queue):
    assert get(caller.task("second_time", "done", queue=queue).delay()) == "done"


def test_an_ordinary_task_that_fails_raises_its_error(caller, queue):
    error = refusal(caller.task("fail", "no stock", queue=queue).delay())

    assert isinstance(error, ValueError)
    assert str(error) == "no stock"
