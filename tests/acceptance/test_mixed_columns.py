"""A model of numbers, text and dates, trained from a CSV file, and requests of real clients in every form."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from modelane.errors import BadInput
from modelane.keys import predict_queue
from modelane_worker.inference.feature_frame import frame
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import TrustedKeys
from support.waiting import eventually
from support.workplace import SharedStack, Workplace, train

RECIPE = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from pandas import DataFrame
from modelane_training import sources
from modelane_training.recipe import Recipe

days = FunctionTransformer(DataFrame.astype, kw_args={{"dtype": "int64"}})
prepared = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "spend"]),
    (OneHotEncoder(handle_unknown="ignore"), ["city"]),
    (make_pipeline(days, StandardScaler()), ["since"]),
)
recipe = Recipe(
    model="travel", source=sources.csv({data!r}), target="left",
    estimator=make_pipeline(prepared, LogisticRegression()),
)
"""


def customers(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "city": rng.choice(["Oslo", "Rome", "Æ", None], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, n), unit="D"),
            "spend": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 20, n).round(3)),
        }
    )


@pytest.fixture(scope="module")
def travel(shared_stack: SharedStack, tmp_path_factory) -> SharedStack:
    folder = tmp_path_factory.mktemp("travel")
    data = customers(400, seed=1)
    data["left"] = np.where(data["age"] + 30 * (data["city"] == "Oslo") > 60, "stays", "leaves")
    data.to_csv(folder / "travel.csv", index=False)
    (folder / "recipes").mkdir()
    (folder / "recipes" / "travel.py").write_text(RECIPE.format(data=str(folder / "travel.csv")))
    train(shared_stack.settings, "travel", folder / "recipes")
    queue = predict_queue("travel")
    eventually(lambda: queue in shared_stack.queues(shared_stack.serving), "the lane of travel")
    return shared_stack


def published(workplace: Workplace):
    trusted = TrustedKeys.load(workplace.settings.trusted_keys_path)
    return workplace.store.read("travel", str(workplace.store.champion("travel")), trusted)


def in_forms(rows: pd.DataFrame) -> dict[str, object]:
    records = [
        {name: None if pd.isna(value) else value for name, value in record.items()}
        for record in rows.to_dict("records")
    ]
    return {
        "pandas": rows,
        "pandas, categories": rows.astype({"city": "category"}),
        "pandas, shuffled": rows[["spend", "since", "city", "age"]],
        "polars": pl.DataFrame(records, schema_overrides={"city": pl.Categorical}),
        "Arrow": pa.Table.from_pandas(rows, preserve_index=False),
        "records": records,
        "lists": [list(record.values()) for record in records],
        "a map": {name: [record[name] for record in records] for name in rows},
    }


@pytest.mark.timeout(300)
def test_every_form_of_a_table_gets_the_answer_of_the_fitted_pipeline(travel: Workplace):
    verified = published(travel)
    model, features = artifact.load(verified), verified.card.features
    assert [feature.dtype for feature in features] == ["float64", "str", "datetime64[us]", "float64"]
    client, app = travel.client(), travel.celery
    asked = []
    for size, seed in ((1, 2), (1, 3), (3, 4), (200, 5)):
        rows = customers(size, seed)
        wanted = frame({name: rows[name].to_numpy() for name in rows}, features)
        for form, sent in in_forms(rows).items():
            asked += [
                (form, method, wanted, client.submit("travel", sent, method=method))
                for method in ("predict", "predict_proba")
            ]
        stock = app.send_task(
            "modelane.predict",
            args=["travel", json.loads(rows.to_json(orient="records", date_format="iso"))],
            queue=predict_queue("travel"),
            serializer="json",
        )
        assert stock.get(timeout=60)["values"] == model.predict(wanted).tolist()

    for form, method, wanted, future in asked:
        expected = getattr(model, method)(wanted)
        values = future.result().values
        assert values.dtype == expected.dtype, form
        if method == "predict":
            np.testing.assert_array_equal(values, expected, err_msg=form)
        else:
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9, err_msg=form)


def test_only_the_caller_of_an_invalid_request_gets_an_error(travel: Workplace):
    client = travel.client()
    good = customers(3, seed=6)
    pairs = {
        "travel has no column 'shoe'": good.assign(shoe=43),
        "column 'city' takes strings, but row 0 is of type int": good.assign(city=[7, 8, 9]),
        "column 'since' takes dates, but row 1 is not an ISO 8601 date": good.assign(
            since=["2026-01-02", "soon", None]
        ),
        "no column 'spend'": good.drop(columns="spend"),
    }
    bad = {words: client.submit("travel", rows) for words, rows in pairs.items()}
    answers = [client.submit("travel", good) for _ in range(20)]

    for words, future in bad.items():
        with pytest.raises(BadInput, match=words):
            future.result()
    assert len({tuple(future.result().values.tolist()) for future in answers}) == 1


def test_no_log_contains_a_value(travel: Workplace):
    travel.client().predict(
        "travel", [{"age": 41, "city": "Secretville", "since": "2026-01-02", "spend": None}]
    )

    assert "Secretville" not in "".join(log.read_text() for log in travel.home.glob("*.log"))
