"""The gate's decisions: examples and properties."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelane.errors import RecipeError
from modelane_training.evaluation.metrics import LOSSES, METRICS
from modelane_training.evaluation.results import Evaluation, Gain, Scores, SliceScores
from modelane_training.gate import Gate, decide

SCORES = st.floats(-1e6, 1e6)
REACH = st.floats(0, 1e6)
NAMES = st.sampled_from([name for names in METRICS.values() for name in names])
GATES = st.one_of(
    st.builds(Gate, worst=st.none() | SCORES, min_gain=st.floats(0, 10)),
    st.builds(Gate, worst=st.none() | SCORES, promote_equal=st.just(True), max_regression=st.floats(0, 10)),
)


def found(metric, candidate, champion=None, *, reach=0.005, baseline=None, slices=()):
    """Return an evaluation whose gains have an uncertainty of ``reach``."""

    def scores(value):
        return None if value is None else Scores(metrics={metric: value})

    def gain(other):
        value = (other - candidate) if metric in LOSSES else (candidate - other)
        return Gain(value=value, low=value - reach, high=value + reach)

    return Evaluation(
        metric=metric,
        n_rows=1000,
        n_units=1000,
        scores=scores(candidate),
        baseline=scores(baseline),
        over_baseline=None if baseline is None else gain(baseline),
        champion=scores(champion),
        gains={} if champion is None else {metric: gain(champion)},
        slices=slices,
    )


def part(value, reach=0.01, column="country", words="NL"):
    gain = Gain(value=value, low=value - reach, high=value + reach)
    return SliceScores(column=column, value=words, n_rows=80, scores=Scores(metrics={}), gain=gain)


@pytest.mark.parametrize(
    ("gate", "metric", "candidate", "champion", "promote", "reason"),
    [
        (Gate(), "accuracy", 0.5, None, True, "there is no champion"),
        (Gate(worst=0.6), "accuracy", 0.5, None, False, "is worse than the limit of 0.6"),
        (Gate(worst=0.6), "accuracy", 0.6, None, True, "there is no champion"),
        (Gate(worst=0.6), "accuracy", 0.5, 0.4, False, "is worse than the limit"),
        (
            Gate(),
            "accuracy",
            0.91,
            0.9,
            True,
            "the champion has 0.9000: better by 0.0100 (95 %: 0.0050 to 0.0150)",
        ),
        (
            Gate(),
            "accuracy",
            0.904,
            0.9,
            False,
            "not better beyond chance, by 0.0040 (95 %: -0.0010 to 0.0090)",
        ),
        (Gate(min_gain=0.02), "accuracy", 0.91, 0.9, False, "but the gate requires a gain of 0.02"),
        (Gate(min_gain=0.02), "accuracy", 0.93, 0.9, True, "better by 0.0300"),
        (Gate(), "accuracy", 0.9, 0.9, False, "not better"),
        (Gate(), "accuracy", 0.89, 0.9, False, "worse by 0.0100 (95 %: 0.0050 to 0.0150)"),
        (Gate(promote_equal=True), "accuracy", 0.9, 0.9, False, "not shown to be equal, not better"),
        (Gate(promote_equal=True), "accuracy", 0.904, 0.9, False, "not shown to be equal"),
        (
            Gate(promote_equal=True, max_regression=0.006),
            "accuracy",
            0.9,
            0.9,
            True,
            "equal and trained on newer data",
        ),
        (Gate(promote_equal=True), "accuracy", 0.89, 0.9, False, ": worse by 0.0100"),
        (Gate(promote_equal=True, max_regression=0.02), "accuracy", 0.89, 0.9, True, "worse by at most 0.02"),
        (
            Gate(promote_equal=True, max_regression=0.02),
            "accuracy",
            0.884,
            0.9,
            False,
            "not shown to be equal",
        ),
        (Gate(promote_equal=True, max_regression=0.02), "accuracy", 0.87, 0.9, False, ": worse"),
        (Gate(), "log_loss", 0.1, 0.2, True, "better"),
        (Gate(), "rmse", 0.3, 0.2, False, "worse"),
        (Gate(worst=0.5), "mae", 0.6, None, False, "is worse than the limit"),
    ],
)
def test_a_verdict_and_its_reason(  # noqa: PLR0917
    gate, metric, candidate, champion, promote, reason
):
    verdict = decide(gate, found(metric, candidate, champion))

    assert verdict.promote is promote
    assert reason in verdict.reason
    assert verdict.reason.startswith(metric)


def test_the_verdict_explains_why_a_champion_cannot_be_evaluated():
    verdict = decide(Gate(), found("accuracy", 0.9), obstacle="the champion cannot be loaded (why)")

    assert verdict.promote
    assert verdict.reason == "accuracy 0.9000; the champion cannot be loaded (why)"


@pytest.mark.parametrize("gate", [Gate(), Gate(promote_equal=True, max_regression=1)])
def test_a_champion_is_never_replaced_without_a_comparison(gate):
    without_score = decide(
        gate, found("f1", 0.9), obstacle="the champion gives no score (why)", serves=True, remedy="do this"
    )
    of_another_metric = msgspec.structs.replace(found("f1", 0.9, 0.1), champion=Scores(metrics={"r2": 0.1}))
    without_metric = decide(gate, of_another_metric, serves=True, remedy="do this")

    assert not without_score.promote
    assert without_score.reason == (
        "f1 0.9000; the champion gives no score (why); it stays in service: to replace it, run do this"
    )
    assert not without_metric.promote
    assert without_metric.reason == (
        "f1 0.9000; the champion has no f1 to compare with and stays in service: to replace it, run do this"
    )


@pytest.mark.parametrize("champion", [None, 0.3])
def test_a_model_that_does_not_beat_the_baseline_significantly_is_not_promoted(champion):
    evaluation = found("accuracy", 0.904, champion, baseline=0.9)

    verdict = decide(Gate(), evaluation)

    assert not verdict.promote
    assert "does not beat a constant prediction beyond chance: that has 0.9000" in verdict.reason
    assert decide(Gate(beat_baseline=False), evaluation).promote


def test_a_better_model_that_regresses_on_a_slice_is_not_promoted_and_the_worst_slice_is_named():
    evaluation = found("accuracy", 0.95, 0.9, slices=(part(-0.06), part(-0.2, words="BE"), part(0.1)))

    verdict = decide(Gate(), evaluation)

    assert not verdict.promote
    assert verdict.reason == (
        "accuracy 0.9500, the champion has 0.9000, but on the 80 rows with 'country' BE it is worse by "
        "0.2000 (95 %: 0.1900 to 0.2100): the gate allows 0.045"
    )


@pytest.mark.parametrize(
    ("gate", "slices"),
    [
        pytest.param(Gate(max_slice_regression=math.inf), (part(-0.5),), id="slices may fall"),
        pytest.param(Gate(max_slice_regression=0.2), (part(-0.2),), id="so much is allowed"),
        pytest.param(Gate(), (part(-0.5, reach=0.5),), id="it may be chance"),
    ],
)
def test_an_allowed_or_insignificant_loss_of_a_slice_does_not_prevent_a_promotion(gate, slices):
    assert decide(gate, found("accuracy", 0.95, 0.9, slices=slices)).promote


def test_a_hold_out_that_shows_no_significant_difference_keeps_the_champion():
    evaluation = Evaluation(
        metric="roc_auc",
        n_rows=200,
        n_units=1,
        scores=Scores(metrics={"roc_auc": 0.9}),
        champion=Scores(metrics={"roc_auc": 0.8}),
        gains={"roc_auc": None},
    )

    verdict = decide(Gate(), evaluation)

    assert not verdict.promote
    assert "the champion has 0.8000: the hold-out is too small" in verdict.reason


def test_a_champion_without_the_metric_is_not_compared():
    evaluation = Evaluation(
        metric="roc_auc",
        n_rows=9,
        n_units=9,
        scores=Scores(metrics={"roc_auc": 0.9}),
        champion=Scores(metrics={"accuracy": 0.9}),
    )

    verdict = decide(Gate(), evaluation)

    assert not verdict.promote
    assert "the champion has no roc_auc to compare with and stays in service" in verdict.reason


@given(NAMES, SCORES, st.none() | SCORES, REACH)
def test_by_default_only_a_better_candidate_replaces_a_champion(metric, champion, worst, reach):
    assert not decide(Gate(worst=worst), found(metric, champion, champion, reach=reach)).promote


@given(GATES, NAMES, SCORES, st.none() | SCORES, REACH, st.floats(0, 1e6))
def test_a_better_score_never_turns_a_promotion_into_a_refusal(  # noqa: PLR0917
    gate, metric, candidate, champion, reach, more
):
    better = candidate - more if metric in LOSSES else candidate + more

    if decide(gate, found(metric, candidate, champion, reach=reach)).promote:
        assert decide(gate, found(metric, better, champion, reach=reach)).promote


@given(GATES, NAMES, SCORES, SCORES, REACH)
def test_a_promoted_candidate_is_always_within_the_limits_of_the_gate(
    gate, metric, candidate, champion, reach
):
    sign = -1 if metric in LOSSES else 1

    if decide(gate, found(metric, candidate, champion, reach=reach)).promote:
        assert sign * (candidate - champion) >= -gate.max_regression
        assert gate.worst is None or sign * (candidate - gate.worst) >= 0


@pytest.mark.parametrize("loss", [-0.1, math.nan, math.inf])
def test_a_regression_limit_that_is_not_a_finite_amount_is_refused(loss):
    with pytest.raises(RecipeError, match="expected 0 or more"):
        Gate(promote_equal=True, max_regression=loss)


@pytest.mark.parametrize("limits", [{"min_gain": -1}, {"min_gain": math.nan}, {"max_slice_regression": -1}])
def test_other_limits_that_are_not_valid_amounts_are_refused(limits):
    with pytest.raises(RecipeError, match="expected 0 or more"):
        Gate(**limits)


def test_a_regression_limit_without_promote_equal_is_refused():
    with pytest.raises(RecipeError, match="only with promote_equal=True"):
        Gate(max_regression=0.1)
