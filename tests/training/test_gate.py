"""The gate's decisions, by example and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelane.errors import RecipeError
from modelane_training.evaluate import LOSSES, METRICS
from modelane_training.gate import Gate, decide

SCORES = st.floats(-1e6, 1e6)
NAMES = st.sampled_from([name for names in METRICS.values() for name in names])
GATES = st.one_of(
    st.builds(Gate, worst=st.none() | SCORES),
    st.builds(Gate, worst=st.none() | SCORES, promote_equal=st.just(True), max_regression=st.floats(0, 10)),
)


@pytest.mark.parametrize(
    ("gate", "metric", "candidate", "champion", "promote", "reason"),
    [
        (Gate(), "accuracy", 0.5, None, True, "there is no champion"),
        (Gate(worst=0.6), "accuracy", 0.5, None, False, "misses the limit of 0.6"),
        (Gate(worst=0.6), "accuracy", 0.6, None, True, "there is no champion"),
        (Gate(worst=0.6), "accuracy", 0.5, 0.4, False, "misses the limit"),
        (Gate(), "accuracy", 0.91, 0.9, True, "the champion has 0.9000: better"),
        (Gate(), "accuracy", 0.9, 0.9, False, "not better"),
        (Gate(), "accuracy", 0.89, 0.9, False, "worse"),
        (Gate(promote_equal=True), "accuracy", 0.9, 0.9, True, "as good, and fresher"),
        (Gate(promote_equal=True), "accuracy", 0.89, 0.9, False, "worse"),
        (Gate(promote_equal=True, max_regression=0.02), "accuracy", 0.89, 0.9, True, "as good"),
        (Gate(promote_equal=True, max_regression=0.02), "accuracy", 0.87, 0.9, False, "worse"),
        (Gate(), "log_loss", 0.1, 0.2, True, "better"),
        (Gate(), "rmse", 0.3, 0.2, False, "worse"),
        (Gate(worst=0.5), "mae", 0.6, None, False, "misses the limit"),
        (Gate(), "accuracy", math.nan, None, False, "is not a score"),
    ],
)
def test_a_verdict_and_its_reason(  # noqa: PLR0917
    gate, metric, candidate, champion, promote, reason
):
    verdict = decide(gate, metric, candidate, champion)

    assert verdict.promote is promote
    assert reason in verdict.reason
    assert verdict.reason.startswith(metric)


def test_a_champion_that_gives_no_score_is_explained():
    verdict = decide(Gate(), "accuracy", 0.9, None, no_champion="the champion gives no score (why)")

    assert verdict.reason == "accuracy 0.9000; the champion gives no score (why)"


@given(NAMES, SCORES, st.none() | SCORES)
def test_by_default_nothing_but_a_better_one_replaces_a_champion(metric, champion, worst):
    assert not decide(Gate(worst=worst), metric, champion, champion).promote


@given(GATES, NAMES, SCORES, st.none() | SCORES, st.floats(0, 1e6))
def test_a_better_score_never_turns_a_promotion_into_a_refusal(gate, metric, candidate, champion, more):
    better = candidate - more if metric in LOSSES else candidate + more

    if decide(gate, metric, candidate, champion).promote:
        assert decide(gate, metric, better, champion).promote


@given(GATES, NAMES, SCORES, SCORES)
def test_what_a_gate_promotes_is_never_worse_than_its_limits(gate, metric, candidate, champion):
    sign = -1 if metric in LOSSES else 1

    if decide(gate, metric, candidate, champion).promote:
        assert sign * (candidate - champion) >= -gate.max_regression
        assert gate.worst is None or sign * (candidate - gate.worst) >= 0


@given(GATES, NAMES, st.sampled_from([math.nan, math.inf, -math.inf]), st.none() | SCORES)
def test_what_is_no_number_is_never_promoted(gate, metric, candidate, champion):
    assert not decide(gate, metric, candidate, champion).promote


@pytest.mark.parametrize("loss", [-0.1, math.nan, math.inf])
def test_a_regression_that_is_no_amount_is_refused(loss):
    with pytest.raises(RecipeError, match="expected 0 or more"):
        Gate(promote_equal=True, max_regression=loss)


def test_a_regression_without_promote_equal_contradicts_itself():
    with pytest.raises(RecipeError, match="needs promote_equal=True"):
        Gate(max_regression=0.1)
