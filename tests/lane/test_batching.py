"""A request gets the same answer in a batch as alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lane.models import an_engine
from modelane.data.tensor import Tensor
from modelane.errors import BadInput, ModelaneError, PredictionFailed, UnknownMethod
from modelane.protocol.predict_request import Request
from modelane_worker.inference import batching
from modelane_worker.inference.engine import Engine

ENGINE = an_engine()

number = st.floats(-1e3, 1e3)
good_rows = st.lists(st.lists(number, min_size=3, max_size=3), min_size=1, max_size=6)
as_sent = st.one_of(
    good_rows,
    st.tuples(good_rows, st.sampled_from(["<f8", "<f4", "<i4"])).map(
        lambda pair: Tensor.of(np.array(pair[0]).astype(pair[1]))
    ),
    good_rows.map(lambda rows: [dict(zip(("age", "visits", "spend"), row, strict=True)) for row in rows]),
    st.just([[1.0, 2.0]]),  # too narrow
    st.just([[1.0, None, 2.0]]),  # missing: this model refuses it, at predict
    st.just([["x", 1.0, 2.0]]),
)
requests = st.builds(
    Request,
    id=st.uuids().map(str),
    model=st.just("churn"),
    rows=as_sent,
    method=st.sampled_from(["predict", "predict_proba", "explain"]),
)


def answers(many: list[Request], max_rows: int) -> list[batching.Outcome]:
    return batching.answer(many, ENGINE, max_rows=max_rows)


@settings(max_examples=150, deadline=None)
@given(st.lists(requests, max_size=25), st.integers(1, 30))
def test_each_request_is_answered_as_if_it_were_alone(many, max_rows):
    together = answers(many, max_rows)

    assert len(together) == len(many)
    for request, outcome in zip(many, together, strict=True):
        (alone,) = answers([request], 10**6)
        if isinstance(alone, ModelaneError):
            assert (type(outcome), str(outcome)) == (type(alone), str(alone))
        else:
            assert outcome.values.dtype == alone.values.dtype
            if alone.values.dtype.kind == "f":
                np.testing.assert_allclose(outcome.values, alone.values, rtol=0, atol=1e-9)
            else:
                np.testing.assert_array_equal(outcome.values, alone.values)


def sent(*rows, **options) -> Request:
    return Request(id="1", model="churn", rows=[list(row) for row in rows], **options)


def test_one_bad_row_does_not_fail_its_neighbours():
    good, nan, narrow = sent((1, 2, 3)), sent((1, None, 3)), sent((1, 2))

    first, second, third, fourth = answers([good, nan, narrow, good], 100)

    assert first.values.tolist() == fourth.values.tolist()
    assert isinstance(second, PredictionFailed)
    assert "NaN" in str(second)
    assert isinstance(third, BadInput)


def test_requests_of_one_method_and_dtype_share_one_predict():
    outcomes = answers([sent((1, 2, 3))] * 10, 100)

    assert {outcome.batch_rows for outcome in outcomes} == {10}


def test_no_predict_takes_more_rows_than_allowed_unless_one_request_has_them():
    outcomes = answers([sent((1, 2, 3))] * 10 + [sent(*[(1, 2, 3)] * 9)], 4)

    assert [outcome.batch_rows for outcome in outcomes] == [4] * 8 + [2] * 2 + [9]


def test_a_request_larger_than_a_batch_is_answered_in_slices_and_others_are_served_between_two():
    sizes, pauses = [], []

    class Counting:
        def predict(self, rows):
            sizes.append(len(rows))
            return rows[:, 0]

    large = sent(*[(n, 0, 0) for n in range(10)])
    engine = Engine(ENGINE.card, Counting())

    (outcome,) = batching.answer([large], engine, max_rows=4, serve_others=lambda: pauses.append(sizes[-1]))

    assert outcome.values.tolist() == [float(n) for n in range(10)]
    assert sizes == [4, 4, 2]
    assert pauses == [4, 4]


def test_requests_with_different_parameters_are_not_batched_together():
    class Echo:
        def predict(self, rows, offset=0):
            return np.full(len(rows), float(offset))

    engine = Engine(ENGINE.card, Echo())
    many = [sent((1, 2, 3), params={"offset": n % 3}) for n in range(9)]

    outcomes = batching.answer(many, engine, max_rows=100)

    assert [outcome.values.tolist() for outcome in outcomes] == [[float(n % 3)] for n in range(9)]
    assert {outcome.batch_rows for outcome in outcomes} == {3}


def test_the_bad_request_is_found_with_few_predicts():
    class Fussy:
        calls = 0

        def predict(self, rows):
            self.calls += 1
            if (rows == 13).any():
                raise ValueError("13!")
            return np.zeros(len(rows))

    fussy = Fussy()
    many = [sent((n, 0, 0)) for n in range(64)]

    outcomes = batching.answer(many, Engine(ENGINE.card, fussy), max_rows=100)

    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, PredictionFailed)] == [13]
    assert fussy.calls <= 2 * 6 + 1


@pytest.mark.parametrize("answered", [lambda n: n - 1, lambda n: n + 1])
def test_a_model_that_returns_too_few_or_too_many_rows_fails_all_requests_of_the_batch(answered):
    class Wrong:
        def predict(self, rows):
            return np.zeros(answered(len(rows)))

    outcomes = batching.answer([sent((1, 2, 3))] * 4, Engine(ENGINE.card, Wrong()), max_rows=100)

    assert all(isinstance(outcome, PredictionFailed) for outcome in outcomes)


def test_a_request_that_breaks_our_own_checks_does_not_fail_its_neighbours(monkeypatch):
    def stumble(request):
        if request.id == "2":
            raise RecursionError
        return Engine.block(ENGINE, request)

    monkeypatch.setattr(ENGINE, "block", stumble)
    good, bad = sent((1, 2, 3)), Request(id="2", model="churn", rows=[[1, 2, 3]])

    first, second, third = answers([good, bad, good], 100)

    assert isinstance(second, PredictionFailed)
    assert isinstance(first, batching.Predicted)
    assert isinstance(third, batching.Predicted)


def test_an_unknown_method_is_refused_for_its_caller_only():
    good, bad = answers([sent((1, 2, 3)), sent((1, 2, 3), method="explain")], 100)

    assert isinstance(good, batching.Predicted)
    assert isinstance(bad, UnknownMethod)
