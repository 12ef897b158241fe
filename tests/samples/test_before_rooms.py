"""A store and a Redis that were written before the modules moved into packages work with today's code."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from click.testing import CliRunner

from modelane.cli import main
from modelane.errors import Revoked
from samples.conftest import Sample
from support.waiting import DEADLINE_S, eventually

IS_SAME_PYTHON = sys.version_info[:2] == (3, 11)


@pytest.fixture
def run(sample: Sample, monkeypatch: pytest.MonkeyPatch):
    """Run a command of Modelane on the sample."""
    for name, value in sample.workplace.settings.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(main, list(arguments))
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture(scope="module")
def worker(sample: Sample):
    """Start a current worker on the sample; it answers the requests that wait in the lanes."""
    worker = sample.workplace.worker(ready=False)
    models = set(sample.expected["versions"]) - (set() if IS_SAME_PYTHON else {"own-code"})
    lanes = {f"modelane.predict.{model}" for model in models}
    eventually(lambda: lanes <= sample.workplace.queues(worker), f"the lanes: {worker.said}")
    return worker


def stock(sample: Sample) -> Celery:
    """Return a stock Celery client."""
    url = sample.workplace.settings.broker_url
    return Celery(broker=url, backend=url, set_as_current=False)


def test_the_client_reads_a_stored_result(sample: Sample):
    answer = sample.workplace.client().attach("answered-ours").result()

    assert (answer.model, answer.method) == ("iris", "predict_proba")
    assert answer.version == sample.expected["versions"]["iris"][1]
    assert answer.values.tolist() == sample.expected["answered"]


def test_a_stock_client_reads_a_stored_result(sample: Sample):
    url = sample.workplace.settings.broker_url

    answer = (
        Celery(broker=url, backend=url, set_as_current=False).AsyncResult("answered-stock").get(timeout=5)
    )

    assert answer["values"] == [0, 2]


def test_the_command_lists_the_versions_with_their_aliases(sample: Sample, run):
    said = run("models")

    for model, versions in sample.expected["versions"].items():
        assert model in said
        assert versions[-1] in said
    assert all(version in run("models", "iris") for version in sample.expected["versions"]["iris"])


def test_the_command_finds_a_report_whose_signature_holds(sample: Sample, run):
    assert "report.html" in run("report", "iris", "--version", "previous")


def test_the_command_lists_the_dead_letter(sample: Sample, run):
    said = run("dead", "list")

    assert "buried" in said
    assert "came to nothing" in said


@pytest.mark.parametrize(
    "id_",
    [
        "waiting-ours",
        "waiting-low",
        "waiting-version",
        pytest.param(
            "waiting-own-code",
            marks=pytest.mark.skipif(
                not IS_SAME_PYTHON, reason="a model with recipe code requires Python 3.11"
            ),
        ),
    ],
)
def test_a_waiting_request_of_our_client_is_answered(sample: Sample, worker, id_):
    answer = sample.workplace.client().attach(id_).result()

    np.testing.assert_allclose(answer.values, sample.expected[id_], rtol=0, atol=1e-12)


def test_a_waiting_request_of_mixed_columns_is_answered(sample: Sample, worker):
    answer = sample.workplace.client().attach("waiting-people").result()

    assert answer.model == "people"
    assert set(answer.values.tolist()) <= {"yes", "no"}
    assert len(answer) == 2


@pytest.mark.parametrize("id_", ["waiting-stock", pytest.param("delayed", marks=pytest.mark.full)])
def test_a_waiting_request_of_a_stock_client_is_answered(sample: Sample, worker, id_):
    answer = stock(sample).AsyncResult(id_).get(timeout=DEADLINE_S)

    assert answer["values"] == [0, 2]


def test_a_revoked_request_is_not_computed(sample: Sample, worker):
    error = sample.workplace.client().attach("waiting-revoked").exception()

    assert isinstance(error, Revoked | TaskRevokedError)


def test_a_dead_letter_can_be_redriven(sample: Sample, worker, run):
    run("dead", "redrive", "buried")

    answer = eventually(lambda: answer_of(sample, "buried"), "its answer")
    assert answer["values"] == [0, 2]


def answer_of(sample: Sample, id_: str):
    stored = sample.workplace.redis.get(f"celery-task-meta-{id_}")
    document = json.loads(stored) if stored else {}
    return document.get("result") if document.get("status") == "SUCCESS" else None


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_trainer_resumes_an_interrupted_search_and_runs_the_waiting_retraining(sample: Sample):
    trainer = sample.workplace.trainer()

    eventually(lambda: "searched: search (trial " in trainer.said, "the search", 120)
    first_trial = trainer.said.partition("searched: search (trial ")[2].partition("/")[0]

    assert int(first_trial) >= 3
    for id_ in (sample.expected["lost_retraining"], sample.expected["waiting_retraining"]):
        # Our client sent them, so the result is published to that client only: others have to look for it.
        result = sample.workplace.celery.AsyncResult(id_)
        eventually(result.ready, f"the result of {id_}", 240)
        assert result.get()["version"]
