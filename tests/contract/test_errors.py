"""The error tree: every error survives pickling and the wire."""

import inspect
import pickle

import pytest

from modelane import errors
from modelane.errors import ModelaneError, PredictionFailed, QueueFull, from_code

EVERY = sorted(
    (error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, ModelaneError)),
    key=lambda error: error.__name__,
)


def example(error: type[ModelaneError]) -> ModelaneError:
    return QueueFull("lane", 5, 4, 0.5) if error is QueueFull else error("what is wrong")


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_an_error_survives_pickling(error):
    raised = example(error)

    again = pickle.loads(pickle.dumps(raised))

    assert (type(again), again.args, str(again)) == (error, raised.args, str(raised))


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_an_error_is_in_the_tree_of_the_docstring_and_has_one_itself(error):
    assert error.__name__ in (errors.__doc__ or "")
    assert error.__doc__


@pytest.mark.parametrize(
    "error", [error for error in EVERY if error is not QueueFull], ids=lambda error: error.__name__
)
def test_an_error_crosses_the_wire_as_code_and_message(error):
    sent = error("what is wrong")

    received = from_code(sent.code, str(sent))

    assert type(received) is error
    assert str(received) == "what is wrong"


def test_an_unknown_code_is_a_failed_prediction_with_the_same_message():
    received = from_code("SystemExit", "bye")

    assert type(received) is PredictionFailed
    assert str(received) == "SystemExit: bye"


def test_a_full_queue_says_how_full_it_is_and_when_to_retry():
    full = QueueFull("modelane.predict.churn", 100_001, 100_000, 2.5)

    assert "100001 messages" in str(full)
    assert full.retry_after_s == 2.5
