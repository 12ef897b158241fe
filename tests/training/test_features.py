"""What becomes of columns, in training and for whatever a request may hold."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import optuna
import pandas as pd
import pytest

from modelane_training.dataset.table import Table
from modelane_training.search import feature_pipeline
from modelane_training.search.builtin_candidates import BUILT_IN
from modelane_training.search.search_plan import SearchPlan
from modelane_worker.registry import artifact
from modelane_worker.transformers import DateParts, Words
from training.mixed import decided, mixed


def fitted(table, candidate, **fixed):
    plan = SearchPlan(table, decided(table, candidates=(candidate,)), seed=1)
    study = optuna.create_study()
    study.enqueue_trial(plan.first()[0] | fixed)
    pipeline = plan.pipeline(study.ask())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(table.matrix(), table.targets)


def strange(table):
    """Rows as no training had them: new categories and words, and nothing at all."""
    rows = table.rows.iloc[:3].copy()
    rows["plan"] = np.array(["platinum", "PRO", np.nan], dtype=object)
    rows["town"] = np.array(["nowhere", "town 1", np.nan], dtype=object)
    rows["comment"] = np.array(["entirely unheard of", "", np.nan], dtype=object)
    rows["joined"] = np.array(["1812-06-24", "2999-01-01", "NaT"], dtype="datetime64[us]")
    rows.loc[2, ["age", "empty"]] = np.nan
    rows.loc[0, "empty"] = 12.0  # a column that training had no value of
    return rows


def test_columns_are_sorted_by_what_they_hold():
    found = feature_pipeline.group_columns(mixed())

    assert found.numbers == ("age", "empty")
    assert (found.few, found.many, found.texts, found.dates) == (
        ("plan",), ("town",), ("comment",), ("joined",)
    )  # fmt: skip
    assert not found.only_numbers


def test_a_category_of_two_words_is_no_text():
    names = np.array([f"Main Street {number % 40}" for number in range(200)], dtype=object)
    table = Table.of(pd.DataFrame({"street": names}), np.arange(200) % 2)

    assert feature_pipeline.group_columns(table).many == ("street",)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("candidate", BUILT_IN)
def test_nothing_that_a_request_may_hold_fails(candidate, task):
    table = mixed(task=task)

    model = fitted(table, candidate)

    answers = model.predict(strange(table))
    assert answers.shape == (3,)
    assert set(answers) <= {"yes", "no"} if task == "classification" else np.isfinite(answers).all()


@pytest.mark.parametrize(
    "fixed",
    [
        {"features.scaling": "quantile"},
        {"features.select": True, "features.percent": 20},
        {"features.phrases": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("candidate", ["linear", "svm"])
def test_every_choice_of_features_works(candidate, fixed):
    table = mixed()

    assert len(fitted(table, candidate, **fixed).predict_proba(strange(table))) == 3


@pytest.mark.parametrize("candidate", ["linear", "boosting"])
def test_missing_numbers_may_come_though_training_had_none(candidate):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 3))
    model = fitted(Table.of(rows, (rows[:, 0] > 0).astype(int)), candidate)

    assert len(model.predict(np.full((2, 3), np.nan))) == 2


def test_a_model_of_numbers_takes_an_array_and_needs_no_pandas(tmp_path):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    model = fitted(Table.of(rows, (rows[:, 0] > 0).astype(int)), "linear")
    (tmp_path / "model.joblib").write_bytes(artifact.dump(model))

    said = _in_a_worker(tmp_path, "import numpy; print(model.predict(numpy.zeros((2, 3))).shape)", "pandas")

    assert said == ["(2,)"]


def test_a_model_of_all_kinds_loads_and_answers_where_only_the_worker_is_installed(tmp_path):
    table = mixed()
    model = fitted(table, "linear", **{"features.select": True, "features.percent": 50})
    (tmp_path / "model.joblib").write_bytes(artifact.dump(model))
    columns = {name: [None] * 3 for name in table.names}
    types = [(feature.name, feature.type.value) for feature in table.features]

    said = _in_a_worker(
        tmp_path,
        f"""
import numpy
from modelane.data.features import Feature
from modelane_worker.inference.feature_frame import frame
columns = {{name: numpy.array(values, dtype=object) for name, values in {columns!r}.items()}}
print(model.predict_proba(frame(columns, [Feature(*each) for each in {types!r}])).shape)
""",
    )

    assert said == ["(3, 2)"]


def test_dates_become_numbers_and_the_hour_of_days_is_left_out():
    days = pd.DataFrame({"day": np.array(["2024-02-29", "NaT", "1969-12-31"], dtype="datetime64[us]")})

    parts = DateParts().fit(days)

    assert parts.get_feature_names_out().tolist() == ["day year", "day month", "day weekday", "day days"]
    leap, missing, last = parts.transform(days)
    assert leap.tolist() == [2024, 2, 3, 19783]  # a Thursday
    assert np.isnan(missing).all()
    assert last.tolist() == [1969, 12, 2, 0]


def test_a_column_of_dates_that_never_had_one_gives_nothing():
    nothing = pd.DataFrame({"day": np.array(["NaT"] * 3, dtype="datetime64[us]")})

    assert DateParts().fit(nothing).transform(nothing).shape == (3, 0)


def test_a_missing_text_is_an_empty_one():
    assert Words().transform(pd.DataFrame({"said": ["yes", np.nan]})).tolist() == ["yes", ""]


_BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import joblib
model = joblib.load("model.joblib")
"""


def _in_a_worker(folder, program, *missing):
    """What a program prints that has the model, and no more than the extra `worker` brings."""
    missing = ("modelane_training", "optuna", "matplotlib", "sqlalchemy", "pyarrow", *missing)
    command = [sys.executable, "-W", "ignore", "-c", _BLOCK.format(missing=missing) + program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
