"""What the fake adds to the contract: failures, delays, estimators and functions as models."""

from __future__ import annotations

import re
import textwrap
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelane
from modelane import Settings, errors, testing

ROWS = np.random.default_rng(3).normal(size=(40, 2))
LABELS = np.where(ROWS[:, 0] > 0, "stays", "leaves")


def sums(rows):
    return np.asarray(rows).sum(axis=1)


@pytest.fixture
def client():
    with testing.Client({"sums": sums, "other": sums}) as client:
        yield client


def test_it_is_a_client_and_reads_no_environment(client, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("MODELANE_MAX_DEPTH", "1")

    assert isinstance(client, modelane.Client)
    with testing.Client({"sums": sums}) as other:
        assert len(list(other.map("sums", [ROWS] * 20))) == 20


@pytest.mark.parametrize(
    "error",
    [
        errors.QueueFull("modelane.predict.sums", 100, 100, 2.5),
        errors.BrokerUnavailable("Redis does not answer"),
        errors.BrokerRefused("Redis rejects the command"),
        errors.Expired("too late"),
        errors.Revoked("somebody else"),
        errors.TimedOut("no answer came in time"),
        errors.Buried("3 workers were lost"),
        errors.ClientClosed("closed"),
        errors.PredictionFailed("churn.predict failed: singular matrix"),
        errors.BadInput("no column 'age'"),
        errors.UnknownModel("not in service"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_fail_applies_to_one_request(client, error):
    client.lanes.fail(error)

    ended = client.submit("sums", ROWS).exception()
    assert type(ended) is type(error)
    assert str(ended) == str(error)
    assert client.predict("sums", ROWS).values.tolist() == sums(ROWS).tolist()


def test_a_plain_try_later_is_raised_by_submit_itself(client):
    client.lanes.fail(errors.TryLater("100000 requests wait to be sent"))

    with pytest.raises(errors.TryLater, match="wait to be sent"):
        client.submit("sums", ROWS)


def test_fail_applies_several_times_to_one_model(client):
    client.lanes.fail(errors.Expired("too late"), model="other", times=2)

    said = [client.submit(model, ROWS).exception() for model in ("other", "sums", "other", "other")]

    assert [type(error).__name__ for error in said] == ["Expired", "NoneType", "Expired", "NoneType"]


def test_map_retries_a_full_lane(client):
    client.lanes.fail(errors.QueueFull("modelane.predict.sums", 100, 100, 0.01), times=3)

    assert len(list(client.map("sums", [ROWS] * 5))) == 5


def test_fail_accepts_only_errors_that_a_client_can_see(client):
    with pytest.raises(errors.BadInput, match="ValueError"):
        client.lanes.fail(ValueError("no"))


def test_a_model_that_raises_is_a_failed_prediction():
    def broken(rows):
        raise RuntimeError("out of order")

    with testing.Client({"broken": broken}) as client, pytest.raises(errors.PredictionFailed) as failed:
        client.predict("broken", ROWS)
    assert str(failed.value) == "broken.predict failed: out of order"


def test_requests_expire_and_time_out_behind_a_slow_worker(client):
    client.lanes.delay_s = 0.1

    expired = client.submit("sums", ROWS, ttl_s=0.01)
    answered = client.submit("sums", ROWS)
    assert isinstance(expired.exception(), errors.Expired)
    assert answered.result().queued_s >= 0.1
    client.lanes.delay_s = 30.0
    assert isinstance(client.submit("sums", ROWS, timeout_s=0.05).exception(), errors.TimedOut)


def test_nothing_is_started_while_lanes_are_held(client):
    with client.lanes.held():
        with client.lanes.held():
            asked = client.submit("sums", ROWS)
            client.flush()
        assert not asked.done()
        with pytest.raises(TimeoutError):
            asked.result(timeout=0.05)

    assert asked.result().values.tolist() == sums(ROWS).tolist()


def test_urgent_requests_are_served_first():
    order = []

    def served(rows):
        order.append(rows[0, 0])
        return rows[:, 0]

    with testing.Client({"m": served}) as client:
        with client.lanes.held():
            asked = [client.submit("m", [[float(priority)]], priority=priority) for priority in (9, 3, 0, 6)]
            client.flush()
        for prediction in asked:
            prediction.result()

    assert order == [0.0, 3.0, 6.0, 9.0]


@pytest.mark.parametrize(
    ("fitted_on", "rows", "columns"),
    [
        (ROWS, ROWS, None),
        (ROWS, ROWS.tolist(), None),
        (ROWS, pd.DataFrame(ROWS, columns=["age", "spend"]), None),
        (pd.DataFrame(ROWS, columns=["age", "spend"]), ROWS, None),
        (pd.DataFrame(ROWS, columns=["age", "spend"]), ROWS[:, ::-1], ("spend", "age")),
        (
            pd.DataFrame(ROWS, columns=["age", "spend"]),
            [{"spend": s, "age": a} for a, s in ROWS.tolist()],
            None,
        ),
    ],
    ids=["arrays", "lists", "a frame of an array's", "an array of a frame's", "columns", "records"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_estimator_gets_rows_in_the_form_it_was_fitted_on(fitted_on, rows, columns):
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(fitted_on, LABELS)

    with testing.Client({"churn": estimator}) as client:
        values = client.predict("churn", rows, columns=columns).values
        shares = client.predict("churn", rows, columns=columns, method="predict_proba").values

    assert values.tolist() == estimator.predict(fitted_on).tolist()
    assert np.allclose(shares, estimator.predict_proba(fitted_on))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0]], "churn takes 2 features, these rows have 1"),
        ([["x", 1.0]], "takes numbers"),
        ([[1.0, 2.0], [1.0]], "lists of the same length"),
    ],
)
def test_an_estimator_that_was_fitted_on_an_array_accepts_as_many_numbers(rows, said):
    estimator = LinearRegression().fit(ROWS, ROWS[:, 0])

    with testing.Client({"churn": estimator}) as client, pytest.raises(errors.BadInput, match=said):
        client.predict("churn", rows)


def test_example_rows_define_which_rows_are_refused(client):
    client.lanes.publish("sums", sums, [{"age": 1.0, "spend": 2.0}])

    assert client.predict("sums", [{"spend": 1.0, "age": 2.0}]).values.tolist() == [3.0]
    with pytest.raises(errors.BadInput, match="no column 'spend'"):
        client.predict("sums", [{"age": 1.0}])


def test_a_new_version_replaces_the_previous_one(client):
    before = client.predict("sums", ROWS)

    version = client.lanes.publish("sums", lambda rows: np.zeros(len(rows)))

    after = client.predict("sums", ROWS)
    assert before.version != after.version == version
    assert not after.values.any()
    assert client.predict("sums", ROWS, version=before.version).values.tolist() == sums(ROWS).tolist()


@pytest.mark.parametrize(("model", "estimator"), [("No Model", sums), ("m", 5)])
def test_invalid_models_are_refused(model, estimator):
    with pytest.raises(errors.BadInput):
        testing.Client({model: estimator})


def test_settings_apply_to_both_sides():
    settings = Settings(max_batch_rows=10)
    sizes = []

    def sized(rows):
        sizes.append(len(rows))
        return rows[:, 0]

    with testing.Client({"m": sized}, settings=settings) as client:
        client.predict("m", ROWS)

    assert max(sizes) == 10


def test_closing_leaves_no_thread_behind():
    before = set(threading.enumerate())
    client = testing.Client({"sums": sums})
    client.predict("sums", ROWS)

    client.close()

    assert set(threading.enumerate()) <= before


def test_the_example_of_the_docstring_runs():
    (example,) = re.findall(r"^(?: {4}.*\n|\n)+", testing.__doc__, re.MULTILINE)
    names = {"estimator": LogisticRegression().fit(ROWS, LABELS), "rows": ROWS, "errors": errors}

    exec(textwrap.dedent(example), names)

    with pytest.raises(errors.Expired):
        names["client"].predict("churn", ROWS)
    names["client"].close()


def test_the_public_names_are_these():
    assert testing.__all__ == ["Client", "Lanes"]
