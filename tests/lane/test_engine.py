"""The engine: rows are checked against the card before the model sees them."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from lane.models import ROWS, a_card, a_classifier, an_engine
from modelane.data.tensor import Tensor
from modelane.errors import BadInput, PredictionFailed, UnknownMethod
from modelane.protocol.predict_request import Request
from modelane_worker.inference import fast_forest
from modelane_worker.inference.engine import Engine


def request(rows, **options) -> Request:
    return Request(id="1", model="churn", rows=rows, **options)


def block(rows, **options):
    return an_engine().block(request(rows, **options)).rows


def test_a_tensor_is_used_without_conversion():
    np.testing.assert_array_equal(block(Tensor.of(ROWS)), ROWS)


def test_a_list_of_rows_and_a_list_of_records_mean_the_same():
    records = [{"spend": 3, "age": 1, "visits": 2.5}]

    np.testing.assert_array_equal(block([[1, 2.5, 3]]), block(records))


def test_named_columns_are_put_into_the_cards_order():
    named = block([[3.0, 1.0, 2.0]], columns=("spend", "age", "visits"))

    np.testing.assert_array_equal(named, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("spend", [[3.0, 6.0], [3, "6"], Tensor.of(np.array([3, 6], dtype=np.int8))])
def test_columns_by_their_names_mean_the_same_in_every_form(spend):
    by_name = block({"spend": spend, "age": [1.0, 4.0], "visits": Tensor.of(np.array([2.0, 5.0]))})

    np.testing.assert_array_equal(by_name, [[1, 2, 3], [4, 5, 6]])
    assert by_name.flags.c_contiguous


def test_rows_that_need_no_conversion_are_not_copied():
    tensor = Tensor.of(ROWS)

    for columns in (None, ("age", "visits", "spend")):
        assert np.shares_memory(block(tensor, columns=columns), np.frombuffer(tensor.data))


def test_none_is_a_missing_value():
    assert np.isnan(block([[1, None, 3]])[0, 1])


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([[1, 2]], {}, "takes 3 features, row 0 has 2"),
        ([[1, 2, 3], [1, 2, 3, 4]], {}, "row 1 has 4"),
        ([[1, 2, 3], 7], {}, "row 1 is of type int: expected a list"),
        ([[1, 2, "x"]], {}, "column 'spend' takes numbers, but row 0 is of type str"),
        ([[1, 2, 3], [1, 10**400, 3]], {}, "column 'visits' takes numbers, but row 1 is too large"),
        ([[1, 2, [3]]], {}, "takes numbers"),
        ([[1, 2, {"a": 1}]], {}, "takes numbers"),
        ([[[1], [2], [3]]], {}, "column 'age' takes numbers, but row 0 is of type list"),
        ([], {}, "no rows"),
        ("rows", {}, "must be a list"),
        (None, {}, "must be a list"),
        ([{"age": 1, "visits": 2}], {}, "row 0 has no column 'spend'"),
        ([{"age": 1, "visits": 2, "spend": 3, "shoe": 4}], {}, "no column 'shoe'"),
        (
            [{"age": 1, "visits": 2, "spend": 3}, [1, 2, 3]],
            {},
            "row 1 is of type list, but row 0 is a record",
        ),
        ([{"age": 1, "visits": 2, "spend": 3}], {"columns": ("age", "visits", "spend")}, "leave out columns"),
        ([[1, 2, 3]], {"columns": ("age", "visits", "shoe")}, "no column 'spend'"),
        ([[1, 2, 3, 4]], {"columns": ("age", "visits", "spend", "shoe")}, "churn has no column 'shoe'"),
        (Tensor.of(np.zeros((2, 4))), {"columns": ("age", "visits", "shoe", "spend")}, "no column 'shoe'"),
        (Tensor.of(np.zeros((2, 2))), {"columns": ("age", "visits", "spend")}, "these rows have 2"),
        ({"age": [1], "visits": [2], "spend": [3], "shoe": [4]}, {}, "no column 'shoe'"),
        ({"age": [1], "visits": [2]}, {}, "no column 'spend'"),
        ({"age": [1], "visits": [2], "spend": [3]}, {"columns": ("age", "visits", "spend")}, "leave out"),
        ({"age": [1, 2], "visits": [2], "spend": [3]}, {}, "'visits' has 1 values, but column 'age' has 2"),
        ({"age": 1, "visits": 2, "spend": 3}, {}, r"column 'age' must be a list.*\[value\]"),
        ({"age": "abc", "visits": "abc", "spend": "abc"}, {}, "column 'age' must be a list"),
        ({"age": [], "visits": [], "spend": []}, {}, "no rows"),
        ({1: [1], 2: [2], 3: [3]}, {}, "must be column names"),
        ({}, {}, "no rows"),
        ({"age": Tensor.of(np.zeros((1, 1))), "visits": [1], "spend": [1]}, {}, "one dimension"),
        ([[1, 2, 3]], {"columns": ("age", "age", "visits")}, "column"),
        ([[1, 2, 3]], {"columns": ("age", "visits", "spend", "spend")}, "two columns are named 'spend'"),
        (Tensor.of(np.zeros((2, 4))), {}, "takes 3 features, these rows have 4"),
        (Tensor.of(np.zeros(3)), {}, "two dimensions"),
        (Tensor.of(np.zeros((0, 3))), {}, "no rows"),
        (
            Tensor.of(np.array([["a", "b", "c"]])),
            {},
            "column 'age' takes numbers, but row 0 is of type str",
        ),
        (
            Tensor.of(np.zeros((1, 3), dtype="M8[D]")),
            {},
            "takes numbers, but row 0 is of type datetime64",
        ),
    ],
)
def test_rows_that_do_not_match_the_card_are_refused_with_what_is_expected(rows, options, words):
    with pytest.raises(BadInput, match=words):
        block(rows, **options)


def test_an_error_does_not_show_the_value():
    with pytest.raises(BadInput) as refused:
        block([[1, 2, "secret-4111"]])

    assert "4111" not in str(refused.value)


@pytest.mark.parametrize("method", ["explain", "__init__", "fit", "", "set_params"])
def test_only_methods_of_the_card_can_be_called(method):
    with pytest.raises(UnknownMethod, match="answers predict, predict_proba"):
        block([[1, 2, 3]], method=method)


def test_an_exception_of_the_model_is_a_failed_prediction_with_its_message():
    with pytest.raises(PredictionFailed, match="NaN"):
        an_engine().predict("predict", np.full((1, 3), np.nan), {})


@pytest.mark.parametrize("answer", [np.zeros(3), np.zeros((1, 2)), 1.0, None])
def test_a_model_that_answers_the_wrong_number_of_rows_fails_with_the_reason(answer):
    class Wrong:
        def predict(self, rows):
            return answer

    with pytest.raises(PredictionFailed, match="rows"):
        Engine(a_card(), Wrong()).predict("predict", np.zeros((2, 3)), {})


def test_labels_keep_their_dtype():
    labels = an_engine().predict("predict", ROWS, {})

    assert labels.dtype.kind == "U"
    np.testing.assert_array_equal(labels, a_classifier().predict(ROWS))


def test_warming_up_calls_every_method_of_the_card():
    called = []

    class Model:
        def predict(self, rows):
            called.append("predict")
            return np.zeros(len(rows))

        def predict_proba(self, rows):
            called.append("predict_proba")
            return np.zeros((len(rows), 2))

    Engine(a_card(), Model()).warm_up()

    assert called == ["predict", "predict_proba"]


def test_a_warm_engine_has_sped_up_its_forest():
    forest = RandomForestClassifier(5, random_state=0).fit(ROWS, np.arange(len(ROWS)) % 2)
    engine = Engine(a_card(methods=("predict_proba",)), forest)

    engine.warm_up()

    assert "predict_proba" in vars(forest)


def test_a_forest_that_would_answer_differently_is_restored(monkeypatch):
    forest = RandomForestClassifier(5, random_state=0).fit(ROWS, np.arange(len(ROWS)) % 2)
    engine = Engine(a_card(methods=("predict_proba",)), forest)
    monkeypatch.setattr(fast_forest, "_mean_of_trees", lambda forest, rows: np.full((len(rows), 2), 0.25))

    engine.warm_up()

    assert "predict_proba" not in vars(forest)
