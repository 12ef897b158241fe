"""`modelane retrain`, answered by a trainer that is played by the test."""

from __future__ import annotations

import importlib
import os
import signal

import pytest
import redis
from click.testing import CliRunner

from modelane.cli import main
from modelane.client import client
from modelane.client.answer import Progress
from modelane.client.client import Prediction, Retrained
from modelane.errors import BadData
from modelane.keys import RETRAIN_QUEUE, REVOKED_KEY, RUN_KEY_PREFIX
from modelane.local.redis_server import RedisServer

retrain = importlib.import_module("modelane.cli.retrain")  # not the command of that name


@pytest.fixture
def answer(monkeypatch):
    """Let every retraining end at once, with a value or an error."""

    def answer(outcome: Retrained | Exception) -> None:
        def retrain(_: object, model: str, *, timeout_s: float, on_progress) -> Prediction[Retrained]:
            future = Prediction[Retrained]("an-id", timeout_s, lambda _: None, "late")
            for progress in (Progress("fit", "120 rows"), Progress("fit", "again"), Progress("gate", "auc")):
                if on_progress is not None:
                    on_progress(progress)
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
            return future

        monkeypatch.setattr(client.Client, "retrain", retrain)

    return answer


def run(*arguments: str):
    return CliRunner().invoke(main, ["retrain", *arguments])


@pytest.mark.parametrize(("promoted", "verdict"), [(True, "promoted"), (False, "not promoted")])
def test_the_verdict_is_told(answer, promoted, verdict):
    answer(Retrained(model="churn", version="v2", promoted=promoted, reason="why", metrics={}))

    done = run("churn")

    assert done.exit_code == 0
    assert done.stdout == f"churn: retraining an-id\nchurn: version v2 is {verdict}: why\n"


def test_each_step_is_a_line_where_nobody_watches(answer):
    answer(Retrained(model="churn", version="v2", promoted=True, reason="why", metrics={}))

    assert run("churn").stderr == "fit       120 rows\ngate      auc\n"


def test_cron_is_told_nothing_unless_it_fails(answer):
    answer(Retrained(model="churn", version="v2", promoted=False, reason="why", metrics={}))
    assert run("churn", "--quiet").output == ""

    answer(BadData("the target has one class only"))
    failed = run("churn", "--quiet")
    assert (failed.exit_code, failed.output) == (1, "Error: the target has one class only\n")


def test_ctrl_c_stops_waiting_and_says_that_the_run_goes_on(answer, monkeypatch):
    def interrupt(_self, timeout=None):
        raise KeyboardInterrupt

    answer(Retrained(model="churn", version="v2", promoted=True, reason="why", metrics={}))
    monkeypatch.setattr(Prediction, "result", interrupt)

    stopped = run("churn")

    assert stopped.exit_code == 130
    assert "churn: the retraining continues; to stop it: modelane retrain churn --cancel" in stopped.stderr


def test_the_run_under_way_is_cancelled_with_those_who_wait_for_it(redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)
    with redis.Redis.from_url(redis_url) as server:
        assert run("churn", "--cancel").output == "churn: there is no retraining to cancel\n"

        server.hset(f"{RUN_KEY_PREFIX}churn", mapping={"id": "one", "holder": "x", "joined two": ""})
        assert run("churn", "--cancel").output == "churn: cancelled one, two\n"
        assert set(server.zrange(REVOKED_KEY, 0, -1)) == {b"one", b"two"}

        server.hset(f"{RUN_KEY_PREFIX}churn", "outcome", "{}")
        assert run("churn", "--cancel").output == "churn: there is no retraining to cancel\n"


def test_a_failure_is_told_and_exits_with_1(answer):
    answer(BadData("the target has one class only"))

    failed = run("churn")

    assert failed.exit_code == 1
    assert failed.output.endswith("Error: the target has one class only\n")


def test_without_waiting_the_task_is_in_its_queue_when_the_command_ends(redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)

    done = run("churn", "--no-wait")

    assert done.exit_code == 0
    with redis.Redis.from_url(redis_url) as server:
        assert server.llen(RETRAIN_QUEUE) == 1


def test_waiting_ends_at_the_timeout(redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)

    given_up = run("churn", "--timeout", "0.2")

    assert given_up.exit_code == 6
    assert "check that a trainer is running" in given_up.output


def test_without_waiting_a_broker_that_is_away_is_told(free_port, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", f"redis://127.0.0.1:{free_port}/0")
    monkeypatch.setattr(retrain, "CONFIRM_S", 0.3)

    failed = run("churn", "--no-wait")

    assert failed.exit_code == 5
    assert "Redis did not accept 1 of the requests within 0.3 s: Redis" in failed.output
    assert "retraining" not in failed.output


def test_without_waiting_a_broker_that_is_frozen_is_told(monkeypatch):
    monkeypatch.setattr(retrain, "CONFIRM_S", 0.3)
    with RedisServer() as server:
        monkeypatch.setenv("MODELANE_BROKER_URL", server.url)
        os.kill(server.pid, signal.SIGSTOP)

        failed = run("churn", "--no-wait")

        os.kill(server.pid, signal.SIGCONT)

    assert failed.exit_code == 5
    assert failed.output.startswith("Error: Redis did not accept 1 of the requests within 0.3 s")


def test_without_waiting_a_task_that_is_refused_is_told(redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)
    with redis.Redis.from_url(redis_url) as server:
        server.set(RETRAIN_QUEUE, "not a list")

    failed = run("churn", "--no-wait")

    assert failed.exit_code == 1
    assert "Error: Redis rejects the command" in failed.output


def test_a_name_that_no_model_can_have_is_refused():
    refused = run("Not A Model")

    assert refused.exit_code == 4
    assert "is not a model's name" in refused.output
