"""How columns become features, in training and for any values of a request."""

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


def unseen(table):
    """Return rows that training has not seen: new categories, new words, and only missing values."""
    rows = table.rows.iloc[:3].copy()
    rows["plan"] = np.array(["platinum", "PRO", np.nan], dtype=object)
    rows["town"] = np.array(["nowhere", "town 1", np.nan], dtype=object)
    rows["comment"] = np.array(["entirely unheard of", "", np.nan], dtype=object)
    rows["joined"] = np.array(["1812-06-24", "2999-01-01", "NaT"], dtype="datetime64[us]")
    rows.loc[2, ["age", "empty"]] = np.nan
    rows.loc[0, "empty"] = 12.0  # a column without any value in training
    return rows


def test_columns_are_grouped_by_their_kind():
    found = feature_pipeline.group_columns(mixed())

    assert found.numbers == ("age", "empty")
    assert (found.few, found.many, found.texts, found.dates) == (
        ("plan",), ("town",), ("comment",), ("joined",)
    )  # fmt: skip
    assert not found.only_numbers


def test_a_category_of_two_words_is_not_free_text():
    names = np.array([f"Main Street {number % 40}" for number in range(200)], dtype=object)
    table = Table.of(pd.DataFrame({"street": names}), np.arange(200) % 2)

    assert feature_pipeline.group_columns(table).many == ("street",)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("candidate", BUILT_IN)
def test_no_values_of_a_request_make_predict_fail(candidate, task):
    table = mixed(task=task)

    model = fitted(table, candidate)

    answers = model.predict(unseen(table))
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
def test_every_combination_of_feature_options_works(candidate, fixed):
    table = mixed()

    assert len(fitted(table, candidate, **fixed).predict_proba(unseen(table))) == 3


@pytest.mark.parametrize("candidate", ["linear", "boosting"])
def test_missing_numbers_are_accepted_although_training_had_none(candidate):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 3))
    model = fitted(Table.of(rows, (rows[:, 0] > 0).astype(int)), candidate)

    assert len(model.predict(np.full((2, 3), np.nan))) == 2


def test_a_model_of_numbers_accepts_an_array_and_does_not_need_pandas(tmp_path):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    model = fitted(Table.of(rows, (rows[:, 0] > 0).astype(int)), "linear")
    (tmp_path / "model.joblib").write_bytes(artifact.dump(model))

    said = _in_a_worker(tmp_path, "import numpy; print(model.predict(numpy.zeros((2, 3))).shape)", "pandas")

    assert said == ["(2,)"]


def test_a_model_of_all_column_kinds_predicts_where_only_the_worker_is_installed(tmp_path):
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


def test_dates_become_numbers_without_an_hour_if_there_are_only_days():
    days = pd.DataFrame({"day": np.array(["2024-02-29", "NaT", "1969-12-31"], dtype="datetime64[us]")})

    parts = DateParts().fit(days)

    assert parts.get_feature_names_out().tolist() == ["day year", "day month", "day weekday", "day days"]
    leap, missing, last = parts.transform(days)
    assert leap.tolist() == [2024, 2, 3, 19783]  # a Thursday
    assert np.isnan(missing).all()
    assert last.tolist() == [1969, 12, 2, 0]


def test_a_date_column_without_any_date_gives_no_features():
    nothing = pd.DataFrame({"day": np.array(["NaT"] * 3, dtype="datetime64[us]")})

    assert DateParts().fit(nothing).transform(nothing).shape == (3, 0)


def test_a_missing_text_counts_as_empty():
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
    """Return what a program prints that has the model, and only the packages of the extra `worker`."""
    missing = ("modelane_training", "optuna", "matplotlib", "sqlalchemy", "pyarrow", *missing)
    command = [sys.executable, "-W", "ignore", "-c", _BLOCK.format(missing=missing) + program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
