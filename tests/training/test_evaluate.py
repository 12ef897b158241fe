"""The evaluation on a hold-out: metrics, their intervals, and slices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from modelane.errors import RecipeError, TrainingError
from modelane_training.dataset.table import Table
from modelane_training.evaluation import bootstrap, slices
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.evaluate import assess
from modelane_training.evaluation.metrics import METRICS, measure
from modelane_training.evaluation.predictions import Predictions, predict
from modelane_training.evaluation.task_defaults import positive_class

N = 400


def classified(k=2, estimator=None, names=None):
    """Return a fitted classifier, unseen rows, and their classes."""
    rows, targets = make_classification(
        2 * N, n_classes=k, n_informative=6, weights=[0.8] if k == 2 else None, flip_y=0.2, random_state=0
    )
    targets = targets if names is None else np.array(names)[targets]
    fitted = (estimator or LogisticRegression(max_iter=500)).fit(rows[:N], targets[:N])
    return fitted, rows[N:], targets[N:]


def measured(estimator, rows, targets, task="classification"):
    positive = positive_class(targets) if task == "classification" else None
    said = predict(estimator, rows, targets, task, positive=positive)
    return {name: value for name, (value,) in measure(said).items() if np.isfinite(value)}


def answers(truth, predicted):
    return Predictions(truth=np.asarray(truth, float), predicted=np.asarray(predicted, float))


@pytest.mark.parametrize("names", [None, ["no", "yes"]])
def test_metrics_of_two_classes_equal_those_of_scikit_learn_for_the_rarer_class(names):
    estimator, rows, targets = classified(names=names)

    found = measured(estimator, rows, targets)

    said, shares = estimator.predict(rows), estimator.predict_proba(rows)[:, 1]
    rare = estimator.classes_[1]
    assert found.pop("ece") < 0.2
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(targets, said),
            "balanced_accuracy": sk.balanced_accuracy_score(targets, said),
            "precision": sk.precision_score(targets, said, pos_label=rare),
            "recall": sk.recall_score(targets, said, pos_label=rare),
            "f1": sk.f1_score(targets, said, pos_label=rare),
            "roc_auc": sk.roc_auc_score(targets, shares),
            "average_precision": sk.average_precision_score(targets == rare, shares),
            "log_loss": sk.log_loss(targets, estimator.predict_proba(rows)),
            "brier": sk.brier_score_loss(targets == rare, shares),
        }
    )


def test_metrics_of_more_classes_equal_the_macro_averages_of_scikit_learn():
    estimator, rows, targets = classified(k=4)

    found = measured(estimator, rows, targets)

    said, shares = estimator.predict(rows), estimator.predict_proba(rows)
    assert found.pop("ece") < 0.2
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(targets, said),
            "balanced_accuracy": sk.balanced_accuracy_score(targets, said),
            "precision": sk.precision_score(targets, said, average="macro"),
            "recall": sk.recall_score(targets, said, average="macro"),
            "f1": sk.f1_score(targets, said, average="macro"),
            "roc_auc": sk.roc_auc_score(targets, shares, multi_class="ovr"),
            "average_precision": sk.average_precision_score(targets, shares),
            "log_loss": sk.log_loss(targets, shares),
            "brier": ((shares - np.eye(4)[targets]) ** 2).sum(1).mean(),
        }
    )


def test_metrics_of_a_regression_equal_those_of_scikit_learn_even_far_from_zero():
    random = np.random.default_rng(0)
    rows = random.normal(size=(N + 1, 3))
    targets = 1e7 + rows.sum(1) + random.normal(size=N + 1)
    estimator = LinearRegression().fit(rows, targets)

    found, said = measured(estimator, rows, targets, "regression"), estimator.predict(rows)

    assert found == pytest.approx(
        {
            "r2": sk.r2_score(targets, said),
            "rmse": sk.root_mean_squared_error(targets, said),
            "mae": sk.mean_absolute_error(targets, said),
            "median_ae": sk.median_absolute_error(targets, said),
        }
    )


@pytest.mark.parametrize("k", [2, 3])
def test_without_probabilities_margins_rank_and_probability_metrics_are_left_out(k):
    estimator, rows, targets = classified(k, LinearSVC())

    found = measured(estimator, rows, targets)

    assert set(METRICS["classification"]) - set(found) == {"log_loss", "brier", "ece"}
    if k == 2:
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(targets, estimator.decision_function(rows)))


def test_rows_of_a_class_that_the_estimator_does_not_know_count_as_wrong():
    estimator, rows, targets = classified(k=3)
    targets[:20] = 7

    found = measured(estimator, rows, targets)

    assert found["accuracy"] == pytest.approx(np.mean(estimator.predict(rows) == targets))
    assert set(found) == set(METRICS["classification"])


def test_a_perfectly_calibrated_estimator_has_a_calibration_error_near_zero():
    random = np.random.default_rng(0)
    shares = random.random(20_000)
    truth = (random.random(20_000) < shares).astype(int)
    both = np.column_stack([1 - shares, shares])
    said = (shares > 0.5).astype(int)

    def ece(shares):
        return measure(
            Predictions(
                truth=truth,
                predicted=said,
                classes=np.arange(2),
                probabilities=shares,
                scores=shares,
                positive=1,
            )
        )["ece"][0]

    assert ece(both) < 0.02
    assert ece(np.clip(both, 0.4, 0.6)) > 0.1


@pytest.mark.parametrize(
    ("predicted", "sentence"),
    [
        (np.full(N, np.nan), f"{N} of {N} predictions are not finite numbers"),
        (np.zeros((N, 2)), "predict returned shape"),
        (np.array(["x"] * N), "ValueError"),
    ],
)
def test_invalid_predictions_are_refused(predicted, sentence):
    class Odd:
        def predict(self, rows):
            return predicted

    with pytest.raises(TrainingError, match=sentence):
        predict(Odd(), np.zeros((N, 1)), np.zeros(N), "regression", positive=None)


def test_a_metric_that_cannot_be_computed_is_refused_with_a_list_of_those_that_can():
    estimator, rows, targets = classified(estimator=LinearSVC())
    said = predict(estimator, rows, targets, "classification", positive=positive_class(targets))

    with pytest.raises(RecipeError, match=r"log_loss cannot be computed .* expected one of accuracy"):
        assess("log_loss", said, bootstrap.draw(N, seed=0))


@pytest.mark.parametrize("n_rows", [60, 400])
def test_intervals_contain_the_true_value_as_often_as_they_should(n_rows):
    # Given hold-outs of a model that is right in 80 % of the cases, with a mean error of 1
    random = np.random.default_rng(n_rows)
    n_times = 150
    held = {"accuracy": 0, "rmse": 0}
    for seed in range(n_times):
        right = random.random(n_rows) < 0.8
        truth = random.integers(2, size=n_rows)
        said = Predictions(
            truth=truth, predicted=np.where(right, truth, 1 - truth), classes=np.arange(2), positive=1
        )
        errors = answers(np.zeros(n_rows), random.normal(size=n_rows))
        draws = bootstrap.draw(n_rows, seed=seed, n_resamples=200)
        for name, of, true in (("accuracy", said, 0.8), ("rmse", errors, 1.0)):
            low, high = bootstrap.interval(measure(of, draws)[name], draws.n_units)
            held[name] += low <= true <= high

    # Then about 95 % of the intervals contain the true value
    for n in held.values():
        assert 0.89 <= n / n_times <= 0.99


def test_a_million_rows_are_resampled_in_random_sets_with_intervals_of_the_right_width():
    n_rows = 1_000_000
    error = np.random.default_rng(0).normal(size=n_rows)
    draws = bootstrap.draw(n_rows, seed=0)

    spread = measure(answers(np.zeros(n_rows), error), draws)["mae"].std()

    assert draws.weights.shape == (bootstrap.RESAMPLES, bootstrap.MAX_UNITS)
    assert spread == pytest.approx(np.abs(error).std() / n_rows**0.5, rel=0.1)


def test_rows_of_one_group_are_drawn_together_and_widen_the_intervals():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    error = random.normal(size=40)[groups]
    said = answers(np.zeros(1000), error)

    by_row, by_group = (
        np.diff(bootstrap.interval(measure(said, draws)["mae"], draws.n_units))[0]
        for draws in (bootstrap.draw(1000, seed=0), bootstrap.draw(1000, seed=0, groups=groups))
    )

    assert by_group > 3 * by_row


def test_rows_in_time_order_are_drawn_in_consecutive_blocks():
    times = np.random.default_rng(0).permutation(1000)

    draws = bootstrap.draw(1000, seed=0, times=times)

    assert draws.n_units == 100
    assert len(set(draws.units[np.argsort(times)[:10]])) == 1


def test_resamples_are_the_same_for_the_same_seed():
    one, same, other = (bootstrap.draw(100, seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one.weights, same.weights)
    assert (one.weights != other.weights).any()


def test_candidate_and_champion_are_compared_by_row_and_not_by_overlap_of_their_intervals():
    # Given two models that fail on nearly the same rows
    random = np.random.default_rng(0)
    truth = np.zeros(500)
    champion = random.normal(size=500) * 10
    candidate = champion * 0.95
    draws = bootstrap.draw(500, seed=0)

    found = assess("rmse", answers(truth, candidate), draws, champion=answers(truth, champion))

    # Then the gain is significant although both intervals overlap
    ours, theirs = (scores.intervals["rmse"] for scores in (found.scores, found.champion))
    assert theirs[0] < ours[1]
    assert found.gains["rmse"].low > 0


def test_equal_predictions_have_a_gain_of_exactly_zero():
    estimator, rows, targets = classified(k=3)
    said = predict(estimator, rows, targets, "classification", positive=positive_class(targets))

    found = assess("log_loss", said, bootstrap.draw(N, seed=0), champion=said)

    assert all((gain.low, gain.value, gain.high) == (0, 0, 0) for gain in found.gains.values())


def test_slices_are_frequent_values_quartiles_and_missing_values():
    n = 400
    table = Table.of(
        pd.DataFrame(
            {
                "amount": np.where(np.arange(n) % 10 == 0, np.nan, np.arange(n)),
                "plan": ["basic"] * 200 + ["pro"] * 150 + ["gold"] * 10 + [None] * 40,
                "since": pd.date_range("2026-01-01", periods=n),
                "same": np.ones(n),
            }
        ),
        np.zeros(n),
    )

    found = slices.cut(table)

    named = {(part.column, part.value): len(part.index) for part in found.judged}
    assert named["plan", "basic"] == 200
    assert named["plan", "missing"] == named["amount", "missing"] == 40
    assert ("plan", "gold") not in named
    assert ("since", "2026-01-01 to 2026-04-10") in named
    assert sum(n for (column, _), n in named.items() if column == "amount") == n
    assert not any(column == "same" for column, _ in named)
    assert found.left_out == "not evaluated: 1 slice with fewer than 30 rows"


def test_slices_by_a_missing_column_are_refused():
    with pytest.raises(RecipeError, match="'plan', which is not a feature"):
        slices.cut(Table.of(np.zeros((5, 1)), np.zeros(5)), ("plan",))


def test_a_slice_that_got_worse_is_detected_although_the_overall_score_improved():
    random = np.random.default_rng(0)
    n = 2000
    minority = np.arange(n) % 10 == 0
    table = Table.of(pd.DataFrame({"group": np.where(minority, "few", "many")}), np.zeros(n))
    noise = random.normal(size=n)
    champion, candidate = (
        answers(np.zeros(n), noise),
        answers(np.zeros(n), noise * np.where(minority, 1.4, 0.8)),
    )

    found = assess("mae", candidate, bootstrap.draw(n, seed=0), champion=champion, slices=slices.cut(table))

    gains = {part.value: part.gain for part in found.slices}
    assert found.gains["mae"].low > 0
    assert gains["few"].high < 0 < gains["many"].low
    assert found.slices[1].scores.intervals["mae"][0] < found.slices[1].scores.metrics["mae"]


def test_the_positive_class_does_not_depend_on_the_class_frequencies_of_a_part():
    estimator, rows, targets = classified()
    part = np.flatnonzero(np.cumsum(targets == 0) <= np.count_nonzero(targets) / 2)
    part = np.concatenate([part, np.flatnonzero(targets)])

    found = measure(predict(estimator, rows[part], targets[part], "classification", positive=1))

    assert positive_class(targets) == 1
    assert positive_class(targets[part]) == 0
    assert found["f1"] == sk.f1_score(targets[part], estimator.predict(rows[part]), pos_label=1)


@pytest.mark.parametrize("k", [2, 3])
def test_a_class_that_only_the_champion_knows_costs_it_only_the_rows_it_gets_wrong(k):
    # Given a champion that predicts, for one row, a class that no row has
    truth = np.arange(N) % k
    candidate = Fixed(truth, np.arange(k))
    champion = Fixed(np.where(np.arange(N) == 0, k, truth), np.arange(k + 1))
    positive = positive_class(truth)

    ours, theirs = (
        predict(one, np.zeros((N, 1)), truth, "classification", positive=positive)
        for one in (candidate, champion)
    )
    found = assess("f1", ours, bootstrap.draw(N, seed=0), champion=theirs)

    assert found.forgotten == (k,)
    assert all(0 <= gain.value < 5 / N for gain in found.gains.values() if gain), found.gains


class Fixed:
    def __init__(self, said, classes):
        self.said, self.classes_ = said, classes

    def predict(self, rows):
        return self.said


@pytest.mark.parametrize(
    ("task", "training", "truth", "metric", "said"),
    [
        ("classification", ["a"] * 3 + ["b"], ["a", "b"], "accuracy", [0, 0]),
        ("regression", [0, 0, 6], [1, 2], "r2", [2, 2]),
        ("regression", [0, 0, 6], [1, 2], "mae", [0, 0]),
    ],
)
def test_the_baseline_predicts_from_the_targets_alone(task, training, truth, metric, said):
    found = baseline(np.array(training), np.array(truth), task, metric, positive=None)

    assert found.predicted.tolist() == said


def test_an_evaluation_survives_a_round_trip_through_a_card():
    import msgspec

    from modelane_training.evaluation.results import Evaluation

    estimator, rows, targets = classified()
    said = predict(estimator, rows, targets, "classification", positive=positive_class(targets))
    table = Table.of(rows, targets)
    found = assess(
        "roc_auc",
        said,
        bootstrap.draw(N, seed=0),
        baseline=baseline(targets, targets, "classification", "roc_auc", positive=1),
        champion=said,
        slices=slices.cut(table),
    )

    raw = msgspec.json.encode(msgspec.to_builtins(found))

    assert msgspec.json.decode(raw, type=Evaluation) == found
    assert b"null" not in raw.replace(b'"unjudged":null', b"")
    assert found.positive == 1
