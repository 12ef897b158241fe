"""`modelane.app`: plain Celery signatures that route themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError

from modelane import app as modelane_app
from modelane.errors import BadInput, SettingsError, UnknownModel
from modelane.keys import QueueKeys
from stock.caller import LANE, MODEL, TASKS, get, refusal


@pytest.fixture(scope="session")
def sender(workplace, worker):
    return modelane_app.sender(workplace.settings)


@pytest.fixture(scope="session")
def predict(sender):
    return sender.tasks["modelane.predict"]


@pytest.fixture
def task(sender):
    return lambda name, *args: sender.signature(f"stock.tasks.{name}", args=args, queue=TASKS)


@pytest.fixture
def the_message(workplace):
    """Return a function that reads the one message that waits in a queue."""

    def read(queue=LANE, priority=0):
        (raw,) = workplace.redis.lrange(QueueKeys(queue).priorities[priority], 0, -1)
        return json.loads(raw)

    return read


def test_delay_is_answered(predict, rows, expected):
    assert get(predict.delay(MODEL, rows[:5]))["values"] == expected[:5]
    assert get(predict.delay(model=MODEL, rows=rows[:2]))["values"] == expected[:2]


@pytest.mark.parametrize("form", [tuple, np.asarray, pd.DataFrame], ids=["tuple", "numpy", "pandas"])
def test_all_kinds_of_rows_are_sent_as_json(predict, rows, expected, form, workplace):
    table = form(rows[:4])
    if form is pd.DataFrame:
        table.columns = workplace.columns()
        table = table[table.columns[::-1]]

    assert get(predict.delay(MODEL, table))["values"] == expected[:4]


def test_options_of_celery_are_kept(predict, rows, held_lane, the_message, workplace):
    with held_lane():
        result = predict.apply_async((MODEL, rows[:1]), {"method": "predict_proba"}, priority=9, expires=60)
        message = the_message(priority=3)
        late = predict.apply_async((MODEL, rows[:1]), expires=datetime.now(UTC) - timedelta(seconds=5))

    assert message["headers"]["expires"]
    assert np.shape(get(result)["values"]) == (1, 2)
    assert isinstance(refusal(late), TaskRevokedError)


@pytest.mark.parametrize(
    "send",
    [
        lambda app, predict, rows: predict.delay(MODEL, rows),
        lambda app, predict, rows: predict.s(MODEL, rows).apply_async(),
        lambda app, predict, rows: predict.s(MODEL).delay(rows),
        lambda app, predict, rows: app.send_task("modelane.predict", args=[MODEL, rows]),
        lambda app, predict, rows: app.send_task("modelane.predict", kwargs={"model": MODEL, "rows": rows}),
        lambda app, predict, rows: app.signature("modelane.predict", args=(MODEL, rows)).delay(),
    ],
    ids=["delay", "signature", "partial", "send_task", "send_task by name", "signature by name"],
)
def test_rows_are_described_and_never_shown(predict, rows, held_lane, the_message, send):
    with held_lane():
        result = send(predict.app, predict, rows[:3])
        message = the_message()

    assert message["content-type"] == "application/json"
    assert message["headers"]["argsrepr"] == f"({MODEL!r}, [3x30 rows])"
    assert message["headers"]["kwargsrepr"] == "{}"
    assert str(rows[0][0]) not in json.dumps(message | {"body": ""})
    assert len(get(result)["values"]) == 3


def test_in_a_group(predict, rows, expected):
    answers = get(group(predict.s(MODEL, rows[n : n + 1]) for n in range(6))())

    assert [answer["values"] for answer in answers] == [expected[n : n + 1] for n in range(6)]


def test_first_in_a_chain(predict, task, rows, expected):
    assert get(chain(predict.s(MODEL, rows[:9]), task("positives"))()) == sum(expected[:9])


def test_last_in_a_chain_gets_its_rows_from_the_task_before(predict, task, rows, expected, listener):
    result = chain(task("echo", rows[:4]), predict.s(MODEL, method="predict"))()

    assert get(result)["values"] == expected[:4]
    listener.until_ended([result.id])
    assert listener.of(result.id)[0]["args"] == "([4x30 rows])"


def test_a_link_on_a_worker_without_lanes_finds_its_lane(predict):
    assert predict.s(MODEL).options["queue"] == LANE
    assert predict.s(MODEL).options["argsrepr"] == f"({MODEL!r}, [result of the previous task])"


def test_in_a_chord(predict, task, rows, expected):
    result = chord([predict.s(MODEL, rows[n : n + 2]) for n in range(0, 8, 2)], task("together"))()

    assert get(result) == expected[:8]


def test_an_error_of_the_worker_is_raised_by_get(predict):
    error = refusal(predict.delay(MODEL, [[1.0]]))

    assert type(error).__name__ == "BadInput"
    assert "takes 30 features" in str(error)


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        (("No Model", [[1.0]]), {}, "is not a model's name"),
        ((), {}, "is not a model's name"),
        ((MODEL, []), {}, "no rows"),
        ((MODEL, [[1.0]]), {"colour": "red"}, "colour"),
        ((MODEL, [[1.0]]), {"columns": 5}, "columns=5"),
    ],
)
def test_an_invalid_call_is_refused_before_it_is_sent(predict, args, kwargs, said):
    for send in (predict.delay, predict.s):
        with pytest.raises(BadInput, match=said):
            send(*args, **kwargs)


@pytest.mark.parametrize(
    "send",
    [
        lambda predict, task, rows: predict.delay("brest-cancer", rows),
        lambda predict, task, rows: predict.s("brest-cancer", rows).apply_async(),
        lambda predict, task, rows: predict.s("brest-cancer").delay(rows),
        lambda predict, task, rows: chain(predict.s("brest-cancer", rows), task("positives"))(),
        lambda predict, task, rows: group(predict.s("brest-cancer", rows) for _ in range(2))(),
    ],
    ids=["delay", "signature", "partial", "chain", "group"],
)
def test_an_unknown_model_is_refused_before_it_is_sent(predict, task, rows, workplace, send):
    with pytest.raises(
        UnknownModel, match=r"'brest-cancer'; models in service: .*; did you mean 'breast-cancer'\?"
    ):
        send(predict, task, rows[:1])

    assert not workplace.redis.exists("modelane.predict.brest-cancer")


def test_a_retraining_is_sent_to_the_queue_of_the_trainers(sender, workplace, the_message):
    result = sender.tasks["modelane.retrain"].si(MODEL).apply_async()

    try:
        message = the_message("modelane.retrain")
    finally:
        workplace.redis.delete("modelane.retrain")
    assert message["headers"]["id"] == result.id
    assert message["headers"]["argsrepr"] == f"({MODEL!r},)"


def test_the_sender_computes_nothing(predict):
    with pytest.raises(BadInput, match=r"predict\.delay"):
        predict(MODEL, [[1.0]])


def test_the_names_of_the_module_follow_the_environment(monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", "redis://127.0.0.1:1/3")

    assert modelane_app.app.conf.broker_url == "redis://127.0.0.1:1/3"
    assert modelane_app.predict.app is modelane_app.retrain.app is modelane_app.app

    monkeypatch.setenv("MODELANE_BROKER_URL", "redis://127.0.0.1:1/4")
    assert modelane_app.predict.app.conf.broker_url == "redis://127.0.0.1:1/4"


def test_an_invalid_setting_is_reported_when_a_name_is_imported(monkeypatch):
    monkeypatch.setenv("MODELANE_LEASE_S", "long")

    with pytest.raises(SettingsError, match="MODELANE_LEASE_S='long'"):
        from modelane.app import predict  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute 'preduct'"):
        modelane_app.preduct  # noqa: B018


def test_importing_the_module_reads_no_setting():
    code = (
        "import os; os.environ['MODELANE_LEASE_S'] = 'long'; import modelane.app; print(modelane.app.__all__)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['app', 'build', 'predict', 'retrain', 'sender']"
