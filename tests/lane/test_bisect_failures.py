"""Bad requests are found with few predicts, and all others are answered."""

import numpy as np
import pytest

from lane import mixed
from lane.models import a_card
from modelane.data import datetimes
from modelane.data.tensor import Tensor
from modelane.errors import PredictionFailed
from modelane.protocol.predict_request import Request
from modelane_worker.inference import batching, bisect_failures
from modelane_worker.inference.engine import Engine


class Fussy:
    """Fails for rows that match ``is_bad``, and counts its predicts."""

    def __init__(self, is_bad):
        self.calls = 0
        self._is_bad = is_bad

    def predict(self, rows):
        self.calls += 1
        if self._is_bad(rows):
            raise ValueError("not with me")
        return np.zeros(len(rows))


def answered(many, is_bad, **options):
    model = Fussy(is_bad)
    outcomes = batching.answer(many, Engine(a_card(), model), max_rows=4096, **options)
    failed = {n for n, outcome in enumerate(outcomes) if isinstance(outcome, PredictionFailed)}
    return failed, model.calls


def sent(*rows) -> Request:
    return Request(id="1", model="churn", rows=Tensor.of(np.array(rows, dtype=float)))


def has_nan(rows):
    return np.isnan(rows).any()


def negative(rows):
    return (rows < 0).any()


def test_a_hundred_of_a_thousand_requests_with_nan_cost_less_than_two_predicts_each():
    bad = set(range(0, 1000, 10))
    many = [sent((1, np.nan if n in bad else 2, 3)) for n in range(1024)]

    failed, calls = answered(many, has_nan)

    assert failed == bad
    assert calls < 2 * len(bad)


def test_missing_values_that_a_model_accepts_do_not_hide_an_infinity_that_it_refuses():
    many = [sent((1, np.nan, 3)) for _ in range(1024)]
    many[500] = sent((1, 2, 3), (1, np.inf, np.nan))

    failed, calls = answered(many, lambda rows: np.isinf(rows).any())

    assert failed == {500}
    assert calls == 3


@pytest.mark.parametrize(("n_bad", "most"), [(1, 23), (10, 150), (100, 700), (1024, 1536)])
def test_any_other_bad_request_is_found_by_bisection(n_bad, most):
    bad = set(np.random.default_rng(1).choice(1024, n_bad, replace=False).tolist())
    many = [sent((1, -1 if n in bad else 1, 3)) for n in range(1024)]

    failed, calls = answered(many, negative)

    assert failed == bad
    assert calls <= most


def test_a_batch_that_fails_only_as_a_whole_is_answered_in_parts():
    failed, _ = answered([sent((1, 2, 3))] * 64, lambda rows: len(rows) > 8)

    assert failed == set()


def test_others_are_served_while_the_search_takes_long():
    now, pauses = [0.0], []

    def is_bad(rows):
        now[0] += 0.4
        return negative(rows)

    many = [sent((1, -1, 3))] * 32
    answered(many, is_bad, clock=lambda: now[0], serve_others=lambda: pauses.append(now[0]))

    assert pauses
    assert np.diff([0.4, *pauses]).max() < batching.SEARCH_PAUSE_S + 2 * 0.4


def test_in_mixed_rows_requests_with_missing_values_are_suspected_first():
    engine, calls = mixed.an_engine(), []
    predict = engine.predict
    engine.predict = lambda *asked: calls.append(asked) or predict(*asked)
    rows = mixed.rows(256, seed=5)
    rows["spend"], rows["city"] = 1.0, "Oslo"  # this model accepts missing values of these columns
    rows.loc[rows.index % 10 == 0, "since"] = np.datetime64("NaT")
    many = [
        Request(id="1", model="churn", rows=[[*map(plain, row)]], columns=mixed.NAMES)
        for row in rows.itertuples(index=False)
    ]

    outcomes = batching.answer(many, engine, max_rows=4096)

    failed = {n for n, outcome in enumerate(outcomes) if isinstance(outcome, PredictionFailed)}
    assert failed == {*range(0, 256, 10)}
    assert len(calls) < 2 * len(failed)


def plain(value):
    return None if datetimes.is_missing(value) else str(value) if hasattr(value, "year") else value


def test_a_few_requests_are_tried_one_by_one():
    assert bisect_failures.FEW == 4
    _, calls = answered([sent((1, -1, 3))] * 4, negative)
    assert calls == 5
