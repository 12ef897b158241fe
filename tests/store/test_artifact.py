"""Estimators survive a round trip; other library versions and invalid bytes are refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from modelane.errors import IncompatibleModel, RecipeError
from modelane_worker.registry import artifact
from modelane_worker.registry.version_folder import Verified
from support.cards import a_card

ROWS = np.arange(40, dtype=float).reshape(20, 2)


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(5, random_state=0).fit(ROWS, np.arange(20) % 2)


def a_verified(content: bytes | None, **libraries: str) -> Verified:
    card = a_card(libraries=artifact.libraries() | libraries)
    return Verified(card, {} if content is None else {artifact.MODEL_FILE: content})


def test_an_estimator_predicts_the_same_after_it_was_saved_and_loaded(forest):
    loaded = artifact.load(a_verified(artifact.dump(forest)))

    np.testing.assert_array_equal(loaded.predict_proba(ROWS), forest.predict_proba(ROWS))


@pytest.mark.parametrize(("name", "other"), [("scikit-learn", "0.24.2"), ("numpy", "1.0.0")])
def test_an_estimator_of_other_library_versions_is_not_unpickled(name, other):
    # Given invalid bytes, so that an attempt to unpickle them would fail
    verified = a_verified(b"not a pickle", **{name.replace("-", "_"): other, name: other})

    with pytest.raises(IncompatibleModel, match=rf"trained with {name} {other} \(installed: "):
        artifact.load(verified)


def test_every_library_that_differs_is_named():
    here = {"scikit-learn": "1.9.1", "numpy": "2.4.6"}
    trained = {"scikit-learn": "1.8.0"}

    with pytest.raises(IncompatibleModel) as caught:
        artifact.check_libraries(trained, here, "churn 1")

    assert str(caught.value) == (
        "churn 1 was trained with scikit-learn 1.8.0 (installed: 1.9.1), numpy (not recorded) "
        "(installed: 2.4.6): install the same versions for workers and trainers, or train the model again"
    )


def test_a_patch_release_makes_no_difference():
    artifact.check_libraries(
        {"scikit-learn": "1.9.0", "numpy": "2.4.0", "python": "3.12.0"},
        {"scikit-learn": "1.9.1", "numpy": "2.4.6", "python": "3.11.7"},
        "churn 1",
    )


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"cno_such_module\nThing\n."])
def test_bytes_that_cannot_be_loaded_are_incompatible(content):
    with pytest.raises(IncompatibleModel, match="cannot be loaded here"):
        artifact.load(a_verified(content))


def test_a_version_without_an_estimator_is_incompatible():
    with pytest.raises(IncompatibleModel, match=r"has no model\.joblib"):
        artifact.load(a_verified(None))


def test_an_estimator_that_cannot_be_pickled_is_a_recipe_error():
    with pytest.raises(RecipeError, match="cannot be saved"):
        artifact.dump(FunctionTransformer(lambda rows: rows))
