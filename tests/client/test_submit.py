"""Invalid requests are refused by `submit`, with a message that names the value."""

from __future__ import annotations

import numpy as np
import pytest

from client.lane import MODEL
from modelane.client import Client
from modelane.errors import BadInput, TooLarge

ROWS = np.ones((2, 3))
HALF_A_PAIR = "\ud800"

itself: list[object] = []
itself.append(itself)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": None}, "priority=None: expected an integer from 0"),
        ({"priority": "3"}, "priority='3'"),
        ({"priority": 3.5}, "priority=3.5"),
        ({"priority": True}, "priority=True"),
        ({"priority": 99}, "priority=99"),
        ({"priority": -1}, "priority=-1"),
        ({"timeout_s": 0}, "timeout_s=0: expected a number of seconds, more than 0 and at most a year"),
        ({"timeout_s": -1}, "timeout_s=-1"),
        ({"timeout_s": float("inf")}, "timeout_s=inf"),
        ({"timeout_s": float("nan")}, "timeout_s=nan"),
        ({"timeout_s": 1e12}, "timeout_s=1000000000000.0"),
        ({"timeout_s": "3"}, "timeout_s='3'"),
        ({"timeout_s": True}, "timeout_s=True"),
        ({"ttl_s": float("inf")}, "ttl_s=inf"),
        ({"ttl_s": 0.0}, "ttl_s=0.0"),
        ({"method": None}, "method=None: expected the name of a method"),
        ({"method": b"predict"}, "method=b'predict'"),
        ({"method": HALF_A_PAIR}, "method="),
        ({"columns": "abc"}, "columns='abc': expected a tuple of column names"),
        ({"columns": (1, 2, 3)}, "columns=(1, 2, 3)"),
        ({"columns": ("a", "b", HALF_A_PAIR)}, "the request cannot be encoded"),
        ({"params": [1]}, "params=[1]: expected a dictionary of keyword arguments"),
        ({"params": {1: 2}}, "params={1: 2}"),
        pytest.param(
            {"params": {"x": object()}}, "object cannot be sent", id="an object"
        ),  # the same name in each run
        ({"model": None}, "None is not a model's name"),
        ({"model": HALF_A_PAIR}, "not a model's name"),
        ({"rows": None}, "two dimensions"),
        ({"rows": []}, "there are no rows"),
        ({"rows": [[HALF_A_PAIR]]}, "the request cannot be encoded"),
        ({"rows": [[10**400, 1.5]]}, "row 0, column 0 is too large"),
        ({"rows": [itself]}, "row 0, column 0 is of type list"),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, dict) else "",
)
def test_invalid_requests_are_refused(client, lane, options, words):
    with pytest.raises(BadInput) as refused:
        client.submit(**{"model": MODEL, "rows": ROWS} | options)

    assert words in str(refused.value)
    # The client still works
    after = client.submit(MODEL, ROWS)
    lane.answer(lane.take())
    assert len(after.result(10)) == 2


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), 1e12, None, "3"])
def test_invalid_timeouts_of_a_client_and_of_a_retraining_are_refused(client, redis_url, timeout_s):
    with pytest.raises(BadInput, match="timeout_s="):
        Client(redis_url, timeout_s=timeout_s)
    with pytest.raises(BadInput, match="timeout_s="):
        client.retrain(MODEL, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "options",
    [
        {"priority": np.int64(9)},
        {"timeout_s": np.float32(2.5), "ttl_s": 1},
        {"columns": ["a", "b", "c"]},
        {"method": "predict_proba", "params": {"return_std": True}},
    ],
    ids=str,
)
def test_equivalent_types_are_accepted(client, lane, options):
    future = client.submit(MODEL, ROWS, **options)

    lane.answer(lane.take())

    assert len(future.result(10)) == 2


def test_a_request_that_is_too_large_is_refused(opened):
    with pytest.raises(TooLarge, match="MODELANE_MAX_REQUEST_BYTES allows 1000"):
        opened(max_request_bytes=1000).submit(MODEL, np.ones((100, 100)))


class TestAnswerAsAnArray:
    @pytest.fixture
    def answer(self, client, worker):
        return client.predict(MODEL, ROWS)

    def test_numpy_uses_the_values_without_a_copy(self, answer):
        assert np.asarray(answer) is answer.values
        assert np.asarray(answer).tolist() == [3.0, 3.0]

    def test_another_dtype_makes_a_copy(self, answer):
        assert np.asarray(answer, dtype="f4").dtype == np.float32
        assert np.array(answer, dtype="i8").tolist() == [3, 3]

    def test_a_copy_is_made_on_request(self, answer):
        copied = np.array(answer, copy=True)
        copied[0] = 7

        assert answer.values[0] == 3.0
        assert answer.__array__(copy=True) is not answer.values

    def test_no_copy_is_made_if_it_is_forbidden(self, answer):
        assert answer.__array__(copy=False) is answer.values
        with pytest.raises(ValueError, match="float64 and cannot be returned as f4 without a copy"):
            answer.__array__("f4", copy=False)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.predict(MODEL, ROWS, ignore_result=True),
        lambda client: client.map(MODEL, [ROWS], ignore_result=True),
        lambda client: client.amap(MODEL, [ROWS], ignore_result=True),
    ],
    ids=["predict", "map", "amap"],
)
def test_calls_that_return_answers_refuse_ignore_result(client, ask):
    with pytest.raises(BadInput, match="ignore_result is an option of submit only"):
        ask(client)
