"""Answers have the shape and dtype that a scikit-learn user expects, also after they were sent."""

import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from lane import mixed
from lane.models import ROWS, a_card
from modelane.client.result_reader import read_answer
from modelane.data.datetimes import is_missing
from modelane.data.tensor import from_wire
from modelane.errors import PredictionFailed
from modelane.protocol import message, result
from modelane_worker.inference import outputs
from modelane_worker.inference.engine import Engine
from modelane_worker.inference.mixed_rows import MixedRows
from modelane_worker.inference.outputs import to_array

LABELS = {
    "int": np.arange(60) % 3,
    "bool": np.arange(60) % 2 == 0,
    "str": np.array(["a", "bb"])[np.arange(60) % 2],
    "objects": np.array(["a", "bb"], dtype=object)[np.arange(60) % 2],
    "float": np.arange(60) % 2 + 0.5,
    "two outputs": np.c_[np.arange(60) % 2, np.arange(60) % 3],
    "two outputs of strings": np.array([["a", "b"], ["bb", "a"]], dtype=object)[np.arange(60) % 2],
}


def envelope(form: str) -> Any:
    content_type = message.CONTENT_TYPE if form == "msgpack" else message.JSON_TYPE
    return message.Envelope(
        body=msgspec.Raw(b'""'),
        content_type=content_type,
        content_encoding="utf-8",
        headers=message.Headers(task="modelane.predict", id="1"),
    )


def through(values):
    """Return an output as our client gets it, and as a stock client gets it."""
    document = {"model": "churn", "version": "v", "method": "m", "values": values}
    ours = msgspec.msgpack.decode(result.write_result(envelope("msgpack"), document, 0.0), ext_hook=from_wire)
    stock = json.loads(result.write_result(envelope("json"), document, 0.0))
    assert ours["status"] == stock["status"] == "SUCCESS", ours["result"]
    measured = dict.fromkeys(("attempts", "batch_rows"), 1) | dict.fromkeys(
        ("queued_s", "gathered_s", "predict_s"), 0.0
    )
    return read_answer(ours["result"] | measured).values, stock["result"]["values"]


@pytest.mark.parametrize("kind", LABELS)
def test_labels_keep_their_dtype_and_shape(kind):
    model = (
        DecisionTreeClassifier().fit(ROWS, LABELS[kind])
        if kind != "float"
        else LinearRegression().fit(ROWS, LABELS[kind])
    )
    wanted = model.predict(ROWS)

    values, stock = through(Engine(a_card(), model).predict("predict", ROWS, {}))

    assert (values.dtype, values.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(values, wanted)
    assert stock == wanted.tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 60])
def test_probabilities_of_several_outputs_become_one_array(n):
    model = MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[LABELS["bool"], LABELS["str"] == "a"])

    values = Engine(a_card(), model).predict("predict_proba", ROWS[:n], {})

    assert values.shape == (n, 2, 2)
    np.testing.assert_array_equal(values[:, 1], model.predict_proba(ROWS[:n])[1])
    assert through(values)[0].shape == (n, 2, 2)


def test_outputs_of_different_numbers_of_classes_are_refused_with_the_reason():
    model = KNeighborsClassifier().fit(ROWS, LABELS["two outputs"])

    for n in (1, 2, 3):
        with pytest.raises(PredictionFailed, match="2 arrays of different shapes"):
            Engine(a_card(), model).predict("predict_proba", ROWS[:n], {})


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_mean_with_its_deviation_is_one_item_per_row(n):
    engine = Engine(a_card(), GaussianProcessRegressor().fit(ROWS, ROWS[:, 0]))

    values = engine.predict("predict", ROWS[:n], {"return_std": True})

    assert values.shape == (n, 2)
    with pytest.raises(PredictionFailed, match="different shapes"):  # each row depends on the other rows
        engine.predict("predict", ROWS[:n], {"return_cov": True})


@pytest.mark.parametrize("model", [PCA(2), StandardScaler(), KMeans(2, n_init=1)], ids=str)
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_a_transform_gives_an_array_for_every_output_container(model, container):
    fitted = model.fit(ROWS)
    wanted = np.asarray(fitted.transform(ROWS))

    values = Engine(a_card(), fitted.set_output(transform=container)).predict("transform", ROWS, {})

    assert type(values) is np.ndarray
    np.testing.assert_array_equal(values, wanted)


def test_a_sparse_output_becomes_dense():
    rows = mixed.rows(20)
    model = OneHotEncoder().fit(rows[["plan", "city"]])
    wrapped = type("Model", (), {"transform": lambda self, frame: model.transform(frame[["plan", "city"]])})()
    block = MixedRows(
        rows[["age", "spend"]].to_numpy(), rows[["city", "plan"]].to_numpy(), rows[["since"]].to_numpy()
    )

    values = Engine(mixed.a_mixed_card(), wrapped).predict("transform", block, {})

    np.testing.assert_array_equal(values, model.transform(rows[["plan", "city"]]).toarray())


def test_a_sparse_output_that_would_fill_the_memory_is_refused_before_it_is_converted():
    vast = scipy.sparse.csr_matrix((100, outputs.MAX_DENSE_BYTES // 100))

    with pytest.raises(ValueError, match="send fewer rows"):
        to_array(vast, 100)


@pytest.mark.parametrize(
    ("answered", "values", "stock"),
    [
        (pd.DataFrame({"a": ["x", None], "b": [1.5, 2.0]}), [["x", None], [1.5, 2.0]], None),
        (pd.Series(["x", pd.NA], dtype="string"), ["x", None], ["x", None]),
        (pd.Series([1, None], dtype="Int64"), [1, None], [1, None]),
        (
            pd.DataFrame({"a": pd.to_datetime(["2026-01-02", None]), "b": ["x", "y"]}),
            None,
            [["2026-01-02T00:00:00", "x"], [None, "y"]],
        ),
        (np.array(["2026-01-02", "NaT"], dtype="M8[ns]"), None, ["2026-01-02T00:00:00", None]),
        (pl.DataFrame({"a": ["x", None]}), [["x"], [None]], [["x"], [None]]),
        (np.array(["a", "b" * 5000]), ["a", "b" * 5000], ["a", "b" * 5000]),
        (np.array(["a", "bb"], dtype="T"), ["a", "bb"], ["a", "bb"]),
        (["a", "bb"], ["a", "bb"], ["a", "bb"]),
        ([1, 2.5], [1, 2.5], [1, 2.5]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([np.array([1, 2, 3]), np.array([4, 5, 6])], [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
        ((1, 2), [1, 2], [1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_output_of_a_custom_estimator_is_returned_as_values(answered, values, stock):
    made, written = through(to_array(answered, 2))

    if stock is not None:
        assert written == stock
    if values is not None and not isinstance(answered, pd.DataFrame):
        assert [None if is_missing(value) else value for value in made.tolist()] == values


@pytest.mark.parametrize("answered", [None, 1.5, "ab", np.zeros(3), [np.zeros(2)] * 3, {"a": 1}, object()])
def test_an_output_without_one_item_per_row_is_refused(answered):
    with pytest.raises(ValueError, match="for 2 rows"):
        to_array(answered, 2)


def test_objects_that_cannot_be_sent_fail_their_request_with_the_reason():
    document = {"values": np.array([object()])}

    written = json.loads(result.write_result(envelope("json"), document, 0.0))

    assert written["status"] == "FAILURE"
    assert "object cannot be sent" in written["result"]["exc_message"][0]


def test_a_model_can_have_only_text_columns():
    card = a_card(features=(mixed.Feature("comment", "str"),), example=("good",))
    words = TfidfVectorizer().fit(["good", "bad thing"])
    model = type("Model", (), {"transform": lambda self, frame: words.transform(frame["comment"])})()
    engine = Engine(card, model)

    block = engine._reader.read([["bad"], ["good thing"]], None)

    assert engine.predict("transform", block, {}).shape == (2, 3)
