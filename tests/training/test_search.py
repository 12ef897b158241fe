"""The search: its results, the failures it survives, and its budget."""

from __future__ import annotations

import math

import numpy as np
import pytest
from optuna.trial import TrialState

from modelane.errors import RecipeError, TrainingError
from modelane_training.recipe import Budget
from modelane_training.search import trials
from modelane_training.search.parallel_fits import ParallelFits
from modelane_training.search.search import search
from modelane_training.search.study_store import LocalStudyStore
from modelane_worker.registry import artifact
from training.mixed import decided, mixed, numbers

QUICK = ("linear", "sgd")


def find(recipe, *, seed=1, table=None, studies=None, progress=lambda step, detail: None, **options):
    table = numbers() if table is None else table
    return search(table, recipe, seed=seed, progress=progress, studies=studies, **options)


def story(found):
    return [(each.candidate, each.params, each.state, each.folds) for each in found.trials]


def test_a_search_finds_a_model_better_than_chance_and_describes_its_trials():
    said = []
    recipe = decided(numbers(), candidates=QUICK, budget=Budget(trials=6, minutes=30))

    found = find(recipe, progress=lambda step, detail: said.append((step, detail)))

    assert (found.metric, found.baseline) == ("roc_auc", 0.5)
    assert found.score == max(each.score for each in found.trials) > 0.7
    assert len(found.trials) == 6
    assert {each.state for each in found.trials} <= {"finished", "pruned"}
    assert found.estimator.predict_proba(numbers().matrix()).shape == (120, 2)
    assert said[0] == ("search", "trial 0/6, 30.0 min left")
    assert said[3][1].startswith("trial 3/6, best roc_auc 0.")
    assert said[-1] == ("fit", f"{found.candidate}, the best of 6 trials, on 120 rows")


def test_a_metric_for_which_less_is_better_is_minimised():
    table = numbers(task="regression")
    recipe = decided(table, candidates=QUICK, metric="rmse")

    found = find(recipe, table=table)

    assert found.score == min(each.score for each in found.trials if each.state == "finished")
    assert found.score < found.baseline


def test_the_same_seed_gives_the_same_search_and_another_seed_gives_another():
    recipe = decided(numbers(), candidates=QUICK, budget=Budget(trials=6, minutes=30))

    first, again, other = find(recipe), find(recipe), find(recipe, seed=2)

    assert story(first) == story(again)
    assert (first.candidate, first.params) == (again.candidate, again.params)
    assert story(first) != story(other)
    rows = numbers(50).matrix()
    np.testing.assert_array_equal(first.estimator.predict_proba(rows), again.estimator.predict_proba(rows))


@pytest.mark.parametrize("at", [1, 4])
def test_an_interrupted_search_resumes_with_the_result_of_an_undisturbed_one(at):
    # Given a search that was interrupted after some trials
    recipe = decided(numbers(), candidates=QUICK, budget=Budget(trials=6, minutes=30))
    studies = LocalStudyStore()

    def end(step, detail):
        if detail.startswith(f"trial {at}/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(recipe, studies=studies, progress=end)

    # When it is resumed, Then it finds what an undisturbed one finds
    said = []
    resumed = find(recipe, studies=studies, progress=lambda step, detail: said.append(detail))

    assert said[0].startswith(f"trial {at}/6")
    assert story(resumed) == story(find(recipe))


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("n_judged", [0, 2])
def test_a_trial_that_was_lost_is_repeated_with_the_same_parameters(monkeypatch, at, n_judged):
    # Given a search that was interrupted in a trial after some of its folds were scored
    recipe = decided(numbers(), candidates=QUICK, budget=Budget(trials=6, minutes=30))
    studies = LocalStudyStore()

    def lost(self, pipeline, folds, limit_s, real=ParallelFits.scores):
        if lost_at(studies) == (at, n_judged):
            raise KeyboardInterrupt
        return real(self, pipeline, folds, limit_s)

    monkeypatch.setattr(ParallelFits, "scores", lost)
    with pytest.raises(KeyboardInterrupt):
        find(recipe, studies=studies)
    monkeypatch.undo()

    # When it is resumed, then it finds what an undisturbed one finds, and no trial is left behind
    resumed = find(recipe, studies=studies)

    assert story(resumed) == story(find(recipe))
    assert [each.number for each in resumed.trials] == [0, 1, 2, 3, 4, 5]


def lost_at(studies):
    """Return the number of finished trials, and of scored folds of the running one."""
    (study,) = studies.storage("search").get_all_studies()
    all_trials = studies.storage("search").get_all_trials(study._study_id)
    (runs,) = [each for each in all_trials if each.state == TrialState.RUNNING]
    return sum(each.state.is_finished() for each in all_trials), len(runs.intermediate_values)


def test_the_time_budget_ends_a_search_and_includes_earlier_attempts():
    recipe = decided(numbers(), candidates=("linear",), budget=Budget(trials=9, minutes=30))
    studies, said = LocalStudyStore(), []
    ticks = iter(range(0, 10**9, 300))  # five minutes pass between two readings of the clock

    found = find(recipe, studies=studies, clock=lambda: next(ticks))
    again = find(recipe, studies=studies, progress=lambda step, detail: said.append(detail), clock=lambda: 0)

    assert 0 < len(found.trials) < 9
    assert story(again)[: len(found.trials)] == story(found)
    spent_s = sum(each.seconds for each in found.trials)
    assert said[0].endswith(f"{max(30 - spent_s / 60, 0):.1f} min left")


OWN = """
import time
from optuna import TrialPruned
from modelane_training.candidate import Candidate
from modelane_training.recipe import Budget

class Endless(LogisticRegression):
    def fit(self, rows, targets):
        time.sleep(3600)

class Broken(LogisticRegression):
    def fit(self, rows, targets):
        raise ValueError("it does not like these rows")

class Deadly(LogisticRegression):
    def fit(self, rows, targets):
        import os
        os._exit(1)

def tree(depth):
    if depth != 2:
        raise TrialPruned("two or nothing")
    return DecisionTreeClassifier(max_depth=depth)
"""


def from_file(recipe_from, candidates, budget="Budget(trials=2, minutes=30)"):
    recipe = recipe_from(
        f"{OWN}\nrecipe = Recipe(model='iris', source=scikit_learn('iris'),"
        f" candidates={candidates}, budget={budget})"
    )
    table = recipe.collect()
    return table, recipe.resolve(table)


@pytest.mark.full
def test_a_fit_that_hangs_is_stopped_and_the_other_candidates_are_tried(recipe_from, monkeypatch):
    monkeypatch.setattr(trials, "_MAX_SHARE", 1 / 600)  # of half an hour: three seconds
    table, recipe = from_file(recipe_from, "(Endless(), 'linear')")

    found = find(recipe, table=table)

    assert found.trials[0].candidate == "endless"
    assert (found.trials[0].state, found.trials[0].score) == ("too long", None)
    assert found.candidate == "linear"


@pytest.mark.full
def test_a_time_budget_too_small_for_any_trial_is_reported(recipe_from):
    table, recipe = from_file(recipe_from, "(Endless(),)", "Budget(trials=1, minutes=0.02)")

    with pytest.raises(TrainingError, match=r"within 1 trials and 0.02 minutes: endless: too long"):
        find(recipe, table=table, clock=lambda: 0)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        ("Broken()", "ValueError: it does not like these rows"),
        pytest.param("Deadly()", "TerminatedWorkerError", marks=pytest.mark.full),
    ],
)
def test_a_candidate_that_fails_does_not_end_the_search(recipe_from, estimator, reason):
    table, recipe = from_file(recipe_from, f"({estimator}, 'linear')")

    found = find(recipe, table=table)

    assert found.candidate == "linear"
    failed = next(each for each in found.trials if each.candidate != "linear")
    assert (failed.state, failed.score) == ("failed", None)
    assert reason in failed.error


def test_if_all_candidates_fail_the_error_names_them_with_their_reasons(recipe_from):
    table, recipe = from_file(recipe_from, "(Broken(),)")

    with pytest.raises(TrainingError, match="broken: ValueError: it does not like these rows"):
        find(recipe, table=table)


def test_a_search_space_that_raises_is_a_recipe_error_with_its_line(recipe_from):
    table, recipe = from_file(
        recipe_from, "(Candidate(name='tree', build=lambda trial: trial.suggest_depth('depth')),)"
    )

    with pytest.raises(RecipeError, match=r"candidate tree of iris failed: AttributeError.*\(line \d+\)"):
        find(recipe, table=table)


def test_a_recipe_can_prune_incompatible_parameters(recipe_from):
    table, recipe = from_file(
        recipe_from,
        "(Candidate(name='tree', build=lambda trial: tree(trial.suggest_int('tree.depth', 1, 3))),)",
        "Budget(trials=12, minutes=30)",
    )

    found = find(recipe, table=table)

    assert found.params["tree.depth"] == 2
    assert {each.error for each in found.trials} == {"", "two or nothing"}


def test_a_candidate_without_the_metric_fails(recipe_from):
    from sklearn.svm import LinearSVC

    table = numbers()
    recipe = decided(table, candidates=(LinearSVC(), "linear"), metric="log_loss")

    found = find(recipe, table=table)

    assert found.candidate == "linear"
    assert "log_loss cannot be computed" in next(
        each.error for each in found.trials if each.candidate == "linear-svc"
    )


def test_parameters_that_were_tried_already_are_not_fitted_again():
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = numbers()
    recipe = decided(
        table,
        candidates=(make_pipeline(StandardScaler(), GaussianNB()),),
        budget=Budget(trials=50, minutes=30),
    )

    found = find(recipe, table=table)

    assert len(found.trials) == 50
    assert len({each.folds for each in found.trials}) == 1
    assert math.isclose(found.score, np.mean(found.trials[0].folds))


def test_a_run_without_an_estimator_searches_and_publishes_a_version_that_predicts(trainer):
    table = mixed()
    recipe = decided(table, candidates=QUICK, budget=Budget(trials=3, minutes=30))

    outcome = trainer.run(recipe)

    assert outcome.verdict.promote
    assert "search" in trainer.steps
    model = artifact.load(trainer.store.read("mixed", outcome.version, trainer.trusted))
    assert set(model.predict(table.matrix())) == {"yes", "no"}
