"""A sped-up forest gives exactly the same answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelane_worker.inference.fast_forest import restore, speed_up

FLOWERS, KINDS = load_iris(return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)

CLASSIFIERS = {
    "forest": RandomForestClassifier(20, random_state=0),
    "extra trees": ExtraTreesClassifier(20, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)),
    "vote": VotingClassifier(
        [("a", RandomForestClassifier(9, random_state=0)), ("b", LogisticRegression(max_iter=1000))],
        voting="soft",
    ),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(9, random_state=0), cv=3),
}
REGRESSORS = {
    "forest": RandomForestRegressor(20, random_state=0),
    "extra trees": ExtraTreesRegressor(20, random_state=0),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    "labels", [KINDS, np.array(["setosa", "versicolor", "virginica"])[KINDS]], ids=["int", "str"]
)
def test_a_sped_up_classifier_answers_exactly_the_same(name, labels):
    # Given a fitted classifier and its answers
    estimator = CLASSIFIERS[name].fit(FLOWERS, labels)
    methods = ("predict", "predict_proba")
    before = [getattr(estimator, method)(rows) for method in methods for rows in (FLOWERS, FLOWERS[7:8])]
    # When it is sped up
    assert speed_up(estimator)
    # Then it answers the same, also for one row
    after = [getattr(estimator, method)(rows) for method in methods for rows in (FLOWERS, FLOWERS[7:8])]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_sped_up_regressor_answers_exactly_the_same(name):
    estimator = REGRESSORS[name].fit(PATIENTS, PROGRESS)
    said = estimator.predict(PATIENTS)
    assert speed_up(estimator) == [estimator]
    assert np.array_equal(estimator.predict(PATIENTS), said)


def test_a_sped_up_forest_refuses_the_same_rows_as_before():
    forest = RandomForestClassifier(5, random_state=0).fit(FLOWERS, KINDS)
    speed_up(forest)
    with pytest.raises(ValueError, match="infinity"):
        forest.predict_proba([[np.inf, 1.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match="features"):
        forest.predict_proba([[1.0, 1.0]])


def test_forests_with_threads_or_several_outputs_are_not_changed():
    threaded = RandomForestClassifier(5, n_jobs=2).fit(FLOWERS, KINDS)
    several = RandomForestRegressor(5).fit(PATIENTS, np.stack([PROGRESS, PROGRESS], axis=1))
    assert speed_up([threaded, several]) == []


def test_speeding_up_can_be_undone():
    forest = RandomForestClassifier(5, random_state=0).fit(FLOWERS, KINDS)
    restore(speed_up(forest))
    assert "predict_proba" not in vars(forest)
