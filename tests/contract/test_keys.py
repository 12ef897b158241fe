"""The table of keys is complete and agrees with kombu and Celery."""

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection

from modelane import keys
from modelane.errors import BadInput
from modelane.keys import QueueKeys, check_model_name, lane_of, predict_queue, priority_step


@given(st.integers(min_value=-3, max_value=12))
def test_priorities_use_the_lists_that_kombu_would_use(priority):
    channel = Connection("redis://127.0.0.1:1/0").transport.Channel

    ours = QueueKeys("q").priorities[priority_step(priority)]

    steps = [step for step in channel.priority_steps if step <= max(0, min(9, priority))]
    assert ours == (f"q{channel.sep}{steps[-1]}" if steps[-1] else "q")


def test_results_have_the_key_that_celery_reads():
    backend = Celery(backend="redis://127.0.0.1:1/0").backend

    assert backend.task_keyprefix.decode() == keys.RESULT_KEY_PREFIX


CONSTANTS = {name: value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", [name for name in CONSTANTS if not name.startswith("_")])
def test_every_constant_is_in_the_table(name):
    rows = [line.split()[0] for line in (keys.__doc__ or "").splitlines() if line.startswith("    ")]

    assert any(CONSTANTS[name] in row for row in rows)


def test_every_key_of_a_queue_is_in_the_table():
    table = keys.__doc__ or ""
    queue = QueueKeys("<queue>")

    for key in (queue.leased, queue.leases, queue.dead, queue.rate, queue.put("<token>")):
        assert f"    {key} " in table


def test_no_two_queues_share_a_key():
    names = [predict_queue("a"), predict_queue("a-leased"), keys.RETRAIN_QUEUE, keys.DEFAULT_QUEUE]

    every = [
        key
        for queue in map(QueueKeys, names)
        for key in (*queue.priorities, queue.leased, queue.leases, queue.dead, queue.rate, queue.put("t"))
    ]

    assert len(every) == len(set(every))


@pytest.mark.parametrize("name", ["churn", "breast-cancer", "a", "9lives", "x_1", "a" * 64])
def test_a_model_name_leads_to_its_lane_and_back(name):
    assert lane_of(predict_queue(name)) == name


@pytest.mark.parametrize(
    "name", ["", "Churn", "a.leased", "../x", "a/b", "-a", "a" * 65, "ä", "a b", "a\n", None, 7, ["a"]]
)
def test_an_invalid_model_name_is_refused(name):
    with pytest.raises(BadInput, match="not a model's name"):
        check_model_name(name)


def test_other_queues_are_not_lanes():
    assert lane_of("celery") is None
    assert lane_of("modelane.predict.") is None
    assert lane_of("modelane.predict.a.leased") is None
