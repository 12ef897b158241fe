"""Which candidates a search tries, and what their search spaces depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelane.errors import RecipeError
from modelane_training.candidate import Candidate
from modelane_training.recipe import Budget
from modelane_training.search.builtin_candidates import BUILT_IN, DataTraits, candidates_of
from modelane_training.search.search import search
from modelane_training.search.search_plan import SearchPlan
from training.mixed import decided, mixed, numbers

SMALL = DataTraits(task="classification", n_rows=500, n_columns=10)
LARGE = DataTraits(task="classification", n_rows=100_000, n_columns=10)


def names(known, *candidates):
    recipe = decided(mixed(), candidates=candidates or None)
    return [each.name for each in candidates_of(recipe, known)[0]]


def test_by_default_all_candidates_that_take_so_many_rows_are_tried():
    assert names(SMALL) == list(BUILT_IN)
    assert set(BUILT_IN) - set(names(LARGE)) == {"svm"}


def test_a_recipe_can_name_built_in_candidates_and_add_its_own():
    own = Candidate(name="tree", build=lambda trial: DecisionTreeClassifier())
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())

    assert names(SMALL, "boosting", own, LogisticRegression(), pipeline) == [
        "boosting", "tree", "logistic-regression", "pipeline"
    ]  # fmt: skip


def test_a_custom_pipeline_builds_its_own_features():
    recipe = decided(mixed(), candidates=(make_pipeline(StandardScaler(), LogisticRegression()),))

    (candidate,), _ = candidates_of(recipe, SMALL)

    assert not candidate.features


@pytest.mark.parametrize(
    ("candidates", "sentence"),
    [
        (("forrest",), "candidate 'forrest': expected one of linear, boosting, forest"),
        (("forest", "forest"), "two candidates are named 'forest'"),
        ((LogisticRegression(), LogisticRegression(C=2)), "two candidates are named 'logistic-regression'"),
        ((42,), r"candidate 42: expected a name \(linear, .*\), a Candidate, or an estimator"),
        ((), "candidates is empty"),
        ("forest", r"candidates 'forest': expected a tuple, such as \('forest',\)"),
    ],
)
def test_an_invalid_candidate_is_refused_with_the_reason(candidates, sentence):
    recipe = decided(mixed(), candidates=candidates)

    with pytest.raises(RecipeError, match=sentence):
        candidates_of(recipe, SMALL)


def test_candidates_whose_row_limits_are_all_exceeded_are_refused_with_their_limits():
    with pytest.raises(RecipeError, match="the 100,000 training rows: svm takes at most 50,000 rows"):
        candidates_of(decided(mixed(), candidates=("svm",)), LARGE)


@pytest.mark.parametrize("n_rarest", [1, 2, 3])
def test_a_candidate_that_cannot_be_calibrated_on_a_rare_class_is_left_out_with_the_reason(n_rarest):
    # Given a class with this many rows in each training fold
    table = numbers(200)
    targets = table.targets.copy()
    targets[np.flatnonzero(targets == "yes")[n_rarest + 1 :]] = "no"
    table, said = replace(table, targets=targets), []
    recipe = decided(table, candidates=("svm", "linear"), budget=Budget(trials=2, minutes=30))

    found = search(table, recipe, seed=1, progress=lambda step, detail: said.append(detail))

    left_out = [detail for detail in said if detail.startswith("not tried")]
    if n_rarest == 3:
        assert left_out == []
        assert {each.candidate for each in found.trials} == {"svm", "linear"}
    else:
        assert left_out == [f"not tried: svm needs 3 rows of each class to fit on, one has {n_rarest}"]
    assert {each.state for each in found.trials} <= {"finished", "pruned"}


@pytest.mark.parametrize("name", ["", "My Model", "x" * 50])
def test_the_name_of_a_candidate_is_validated(name):
    with pytest.raises(RecipeError, match="expected a name of at most 40 lower-case letters"):
        Candidate(name=name, build=lambda trial: LogisticRegression())


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", BUILT_IN)
def test_first_trials_set_every_parameter(name, task):
    """Optuna would sample the others at random, and the first trials must be good without luck."""
    table = mixed(task=task)
    plan = SearchPlan(table, decided(table, candidates=(name,)), seed=1)

    for first in plan.first():
        study = optuna.create_study()
        study.enqueue_trial(first)
        trial = study.ask()
        plan.pipeline(trial)
        assert trial.params.items() <= first.items()


def test_every_random_state_is_the_seed_of_the_run():
    table = mixed()
    plan = SearchPlan(table, decided(table, candidates=("boosting",)), seed=7)

    pipeline = plan.pipeline(optuna.trial.FixedTrial(plan.first()[0]))

    states = {key: value for key, value in pipeline.get_params().items() if key.endswith("random_state")}
    assert states["model__random_state"] == 7
    assert set(states.values()) - {"deprecated"} == {7}  # of TargetEncoder, which is given its folds


def test_imbalanced_classes_can_be_weighted():
    table = mixed()
    even = SearchPlan(table, decided(table, candidates=("linear",)), seed=1)
    rare = table.take(np.flatnonzero((table.targets == "no") | (np.arange(len(table)) % 5 == 0)))
    uneven = SearchPlan(rare, decided(rare, candidates=("linear",)), seed=1)

    def weight(plan):
        fixed = optuna.trial.FixedTrial(plan.first()[0] | {"linear.balanced": True})
        return plan.pipeline(fixed)["model"].class_weight

    assert (weight(even), weight(uneven)) == (None, "balanced")
