"""Classes and functions that a recipe defines are stored with the model, because a worker has no recipes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from modelane.errors import IncompatibleModel
from modelane_worker.registry import artifact

RECIPE = """
import math
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

FACTOR = 3

class Mine(LogisticRegression):
    def predict_proba(self, rows):
        return super().predict_proba(rows) ** math.sqrt(4)

def tripled(rows):
    return FACTOR * rows

recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator={estimator})
"""

WORKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("modelane_training", "optuna"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
import numpy as np
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store
home = Path(sys.argv[1])
verified = Store(home / "models").read("iris", sys.argv[2], TrustedKeys.load(home / "keys/trusted.pem"))
print(artifact.load(verified).predict_proba(np.full((1, 4), 2.0)).tolist())
"""


@pytest.mark.parametrize(
    "estimator",
    [
        "Mine(max_iter=500)",
        "make_pipeline(FunctionTransformer(tripled), LogisticRegression(max_iter=999))",
        "make_pipeline(FunctionTransformer(lambda rows: rows + FACTOR), LogisticRegression(max_iter=999))",
    ],
)
def test_a_worker_predicts_with_classes_and_functions_of_a_recipe(trainer, recipe_from, estimator):
    recipe = recipe_from(RECIPE.format(estimator=estimator))
    outcome = trainer.run(recipe)
    verified = trainer.store.read("iris", outcome.version, trainer.trusted)
    expected = artifact.load(verified).predict_proba(np.full((1, 4), 2.0))

    command = [sys.executable, "-W", "ignore", "-c", WORKER, str(trainer.home), outcome.version]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(eval(done.stdout), expected)


def test_only_a_model_with_recipe_code_requires_the_same_python_version(trainer, recipe_from):
    plain = trainer.run(recipe_from(RECIPE.format(estimator="LogisticRegression(max_iter=500)")))
    own = trainer.run(recipe_from(RECIPE.format(estimator="Mine(max_iter=500)")))
    cards = [trainer.store.read("iris", each.version, trainer.trusted).card for each in (plain, own)]
    here = artifact.libraries() | {"python": "3.99.1"}

    artifact.check_libraries(cards[0].libraries, here, "iris")
    with pytest.raises(
        IncompatibleModel, match=r"was trained with python 3\.\d+\.\d+ \(installed: 3\.99\.1\)"
    ):
        artifact.check_libraries(cards[1].libraries, here, "iris")
