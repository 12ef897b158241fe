"""Task events: exactly one received, one started and one terminal event for each request."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import chain, chord

from stock.caller import LANE, TASKS, get, refusal
from support.flower import running_flower
from support.waiting import eventually

SUCCEEDED = ["received", "started", "succeeded"]
FAILED = ["received", "started", "failed"]
REVOKED = ["received", "revoked"]


def check(listener, id_: str, types: list[str]) -> list[dict[str, Any]]:
    """Check that exactly these events arrived, in this order, with increasing clocks."""
    listener.until_ended([id_])
    events = listener.of(id_)
    assert listener.types(id_) == types
    clocks = [event["clock"] for event in events]
    times = [event["timestamp"] for event in events]
    assert clocks == sorted(set(clocks)), clocks
    assert times == sorted(times), times
    return events


def test_a_request_that_is_answered(caller, listener, worker):
    result = caller.predict(n=3).delay()

    received, _, succeeded = check(listener, result.id, SUCCEEDED)
    assert received["name"] == "modelane.predict"
    assert {event["hostname"] for event in (received, succeeded)} == {worker.name}
    assert succeeded["runtime"] > 0
    version = get(result)["version"]
    assert succeeded["result"] == f"{version} [3 int64]"


def test_an_invalid_request(caller, listener):
    result = caller.wrong().delay()

    *_, failed = check(listener, result.id, FAILED)
    assert failed["exception"].startswith("BadInput")


@pytest.mark.parametrize("linked", [False, True])
def test_a_request_that_expired(caller, listener, linked):
    options = {"link": caller.task("positives")} if linked else {}

    result = caller.predict().apply_async(expires=datetime.now(UTC) - timedelta(seconds=5), **options)

    *_, revoked = check(listener, result.id, REVOKED)
    assert revoked["terminated"] is False
    assert type(refusal(result)).__name__ == "TaskRevokedError"


@pytest.mark.parametrize("linked", [False, True])
def test_a_request_that_was_revoked(caller, app, listener, held_lane, linked):
    options = {"link": caller.task("positives")} if linked else {}
    with held_lane():
        result = caller.predict().apply_async(**options)
        app.control.revoke(result.id, reply=True)

    *_, revoked = check(listener, result.id, REVOKED)
    assert revoked["expired"] is False


@pytest.mark.parametrize("queue", [TASKS, LANE], ids=["own queue", "lane"])
def test_a_chain(caller, listener, queue):
    result = chain(caller.predict(n=2), caller.task("positives", queue=queue))()

    get(result)
    *_, predicted = check(listener, result.parent.id, SUCCEEDED)
    *_, counted = check(listener, result.id, SUCCEEDED)
    assert predicted["runtime"] > 0
    assert "values" not in predicted["result"]
    assert counted["result"] == "0"


def test_a_chord(caller, listener):
    result = chord([caller.predict(n) for n in range(5)], caller.task("together", queue=LANE))()

    get(result)
    check(listener, result.id, SUCCEEDED)
    for member in result.parent.results:
        check(listener, member.id, SUCCEEDED)


def test_a_task_that_retries(caller, listener):
    result = caller.task("second_time", 1, queue=LANE).delay()

    get(result)
    check(listener, result.id, ["received", "started", "retried", *SUCCEEDED])


def test_a_task_that_fails(caller, listener):
    check(listener, caller.task("fail", "no stock", queue=LANE).delay().id, FAILED)


def test_an_unknown_task(caller, listener):
    check(listener, caller.app.send_task("shop.unknown", queue=LANE).id, ["received", "failed"])


def test_a_request_that_waited_for_its_eta(caller, listener):
    check(listener, caller.predict().apply_async(countdown=0.5).id, SUCCEEDED)


@pytest.fixture
def flower(workplace, worker, tmp_path):
    with running_flower(workplace.settings.to_env(), worker.name, tmp_path / "flower.log") as flower:
        yield flower


def test_flower_counts_what_was_sent(caller, app, flower, held_lane, worker):
    # Given several requests of each kind
    sent: dict[str, tuple[str, str]] = {}  # id → name, state

    def note(result, state, name="modelane.predict"):
        sent[result.id] = name, state

    with held_lane():
        for n in range(200):
            note(caller.predict(n % 30).delay(), "SUCCESS")
        for _ in range(20):
            note(caller.wrong().delay(), "FAILURE")
            past = datetime.now(UTC) - timedelta(seconds=5)
            note(caller.predict().apply_async(expires=past), "REVOKED")
            revoked = caller.predict().delay()
            app.control.revoke(revoked.id, reply=True)
            note(revoked, "REVOKED")
            chained = chain(caller.predict(), caller.task("positives", queue=LANE))()
            note(chained.parent, "SUCCESS")
            note(chained, "SUCCESS", "stock.tasks.positives")

    # When all of them have ended
    def tasks() -> dict[str, dict[str, Any]]:
        seen = flower.json("/api/tasks?limit=100000")
        return {id_: task for id_, task in seen.items() if id_ in sent}

    ready = {"SUCCESS", "FAILURE", "REVOKED"}
    eventually(
        lambda: len(seen := tasks()) == len(sent) and {t["state"] for t in seen.values()} <= ready, "all"
    )

    # Then Flower shows the right state of each, and its counters count each event once
    seen = tasks()
    assert {id_: (task["name"], task["state"]) for id_, task in seen.items()} == sent
    assert all(task["runtime"] > 0 for task in seen.values() if task["state"] == "SUCCESS")
    assert all(task["received"] for task in seen.values())
    assert all((task["state"] == "REVOKED") != bool(task["started"]) for task in seen.values())
    pattern = r'^flower_events_total\{task="([\w.]+)",type="task-(\w+)",worker="([^"]+)"\} ([\d.]+)$'
    metrics = re.findall(pattern, flower.get("/metrics").decode(), re.MULTILINE)
    counted = {(task, type_): int(float(n)) for task, type_, at, n in metrics if at == worker.name}
    states = Counter(sent.values())
    predicted = {state: states["modelane.predict", state] for state in ready}
    assert counted == {
        ("modelane.predict", "received"): sum(predicted.values()),
        ("modelane.predict", "started"): predicted["SUCCESS"] + predicted["FAILURE"],
        ("modelane.predict", "succeeded"): predicted["SUCCESS"],
        ("modelane.predict", "failed"): predicted["FAILURE"],
        ("modelane.predict", "revoked"): predicted["REVOKED"],
        ("stock.tasks.positives", "received"): 20,
        ("stock.tasks.positives", "started"): 20,
        ("stock.tasks.positives", "succeeded"): 20,
    }
