"""Finding, reading and validating recipes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from modelane.errors import BadData, BadInput, RecipeError
from modelane_training.dataset.table import Table
from modelane_training.recipe import Recipe
from modelane_training.recipe_errors import MODULE_PREFIX
from modelane_training.recipe_loader import load_recipe, recipe_of

IRIS = """
recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500))
"""


def test_a_recipe_is_read_from_its_file(write, tmp_path):
    assert load_recipe(str(write(IRIS, "anything.py")), tmp_path).model == "iris"


def test_a_recipe_is_found_by_the_name_of_its_model(write, tmp_path):
    write(IRIS)

    assert load_recipe("iris", tmp_path / "recipes").model == "iris"


def test_the_file_of_a_hyphenated_model_can_have_an_underscore(write, tmp_path):
    write(IRIS.replace('"iris",', '"my-iris",', 1), "my_iris.py")

    assert recipe_of("my-iris", tmp_path / "recipes").model == "my-iris"


def test_a_built_in_recipe_does_not_need_a_folder(tmp_path):
    assert recipe_of("breast-cancer", tmp_path / "nowhere").metric == "roc_auc"


def test_a_recipe_in_the_folder_takes_precedence_over_a_built_in_one(write, tmp_path):
    write(IRIS.replace('"iris",', '"breast-cancer",', 1), "breast-cancer.py")

    assert recipe_of("breast-cancer", tmp_path / "recipes").metric is None


def test_a_recipe_that_was_just_changed_is_not_read_from_a_stale_cache(write, tmp_path):
    # Given a change that keeps the file's size and its modification time in seconds
    path = write(IRIS + "SEED = 1\n")
    load_recipe(str(path), tmp_path)
    write(IRIS.replace('"iris",', '"lily",', 1) + "SEED = 1\n")

    assert load_recipe(str(path), tmp_path).model == "lily"


def test_a_recipe_can_define_a_dataclass(recipe_from):
    recipe = recipe_from(
        """
        from dataclasses import dataclass

        @dataclass
        class Options:
            depth: "int" = 3
        recipe = Recipe(
            model="iris", source=scikit_learn("iris"),
            estimator=lambda seed: DecisionTreeClassifier(max_depth=Options().depth, random_state=seed),
        )
        """
    )

    assert recipe.model == "iris"


def test_the_error_for_a_missing_recipe_says_where_it_is_expected(tmp_path):
    with pytest.raises(
        RecipeError, match=r"there is no recipe for churn: expected .*churn\.py; .*MODELANE_RECIPES"
    ):
        recipe_of("churn", tmp_path)


def test_a_recipe_of_another_model_is_refused(write, tmp_path):
    write(IRIS, "churn.py")

    with pytest.raises(RecipeError, match=r"is the recipe of iris: did you mean 'iris'\?"):
        recipe_of("churn", tmp_path / "recipes")


@pytest.mark.parametrize("name", ["../recipes/iris", "/etc/passwd", "recipes/iris.py", "iris.py"])
def test_a_model_name_from_the_queue_is_never_used_as_a_path(write, tmp_path, name):
    write(IRIS)

    with pytest.raises(BadInput, match="is not a model's name"):
        recipe_of(name, tmp_path / "recipes")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("def recipe(:", r"SyntaxError"),
        ("import no_such_package", r"ModuleNotFoundError: No module named 'no_such_package'"),
        ("x = 1\n1 / 0", r"ZeroDivisionError: division by zero \(line 9\)"),
        ("raise SystemExit(3)", r"SystemExit: 3"),
        ("", r"defines 0 Recipe objects: expected one"),
        (IRIS + IRIS.replace("recipe =", "second ="), r"defines 2 Recipe objects"),
        (IRIS.replace('"iris",', '"I R I S",', 1), r"'I R I S' is not a model's name"),
        (IRIS.replace(")\n", ", task='ranking')\n"), r"'ranking': expected one of classification"),
        (
            IRIS.replace(")\n", ", task='classification', metric='rmse')\n"),
            r"'rmse': for a classification, expected one",
        ),
        (
            IRIS.replace(")\n", ", metric='fame')\n"),
            r"'fame': .*roc_auc.*; for a regression, expected .*rmse",
        ),
        (IRIS.replace(")\n", ", schedule='at four')\n"), r"'at four': expected a crontab line"),
        (IRIS.replace(")\n", ", schedule='61 * * * *')\n"), r"expected a crontab line"),
        (IRIS.replace(")\n", ", leave_out='id')\n"), r"leave_out='id': expected a tuple of column names"),
        (IRIS.replace(")\n", ", time='target')\n"), r"the target 'target' is also in"),
        (IRIS.replace(")\n", ", time='day', groups='day')\n"), r"groups and time are both 'day'"),
        (IRIS.replace(")\n", ", candidates=('logistic',))\n"), r"remove one of them"),
        (IRIS.replace(")\n", ", budget=Budget(trials=0))\n"), r"trials=0: expected"),
        (IRIS.replace(")\n", ", budget=Budget(minutes=0))\n"), r"minutes=0: expected"),
        (IRIS.replace(")\n", ", hold_out=20)\n"), r"hold_out=20: expected a share"),
        (
            IRIS.replace(")\n", ", gate=Gate(max_regression=1))\n"),
            r"max_regression=1 has an effect only with promote_equal=True",
        ),
        (IRIS.replace('scikit_learn("iris")', '"iris.csv"'), r"source='iris.csv': expected a function"),
        (IRIS.replace("LogisticRegression(max_iter=500)", "'forest'"), r"estimator='forest': expected"),
    ],
)
def test_an_invalid_recipe_is_refused_with_the_reason(recipe_from, body, sentence):
    with pytest.raises(RecipeError, match=r"the recipe .*iris\.py.*" + sentence):
        recipe_from(body)


def test_a_recipe_that_failed_leaves_no_module_behind(recipe_from):
    before = {name for name in sys.modules if name.startswith(MODULE_PREFIX)}

    with pytest.raises(RecipeError):
        recipe_from("1 / 0")

    assert {name for name in sys.modules if name.startswith(MODULE_PREFIX)} == before


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.py does not exist"):
        load_recipe(str(tmp_path / "none.py"), tmp_path)


def test_the_error_of_a_failing_source_names_the_line_of_the_recipe(recipe_from):
    recipe = recipe_from(
        """
        def read(target):
            return {}[target]
        recipe = Recipe(model="iris", source=read, estimator=LogisticRegression())
        """
    )

    with pytest.raises(RecipeError, match=r"source of iris failed: KeyError: 'target' \(line 10\)"):
        recipe.collect()


def test_a_source_that_does_not_return_a_table_is_refused(recipe_from):
    recipe = recipe_from(
        "recipe = Recipe(model='iris', source=lambda target: [[1]], estimator=LogisticRegression())"
    )

    with pytest.raises(RecipeError, match="of type list: expected a DataFrame"):
        recipe.collect()


def test_a_source_can_raise_a_data_error_itself(recipe_from):
    recipe = recipe_from(
        """
        from modelane.errors import BadData
        def read(target):
            raise BadData("the export is a day old")
        recipe = Recipe(model="iris", source=read, estimator=LogisticRegression())
        """
    )

    with pytest.raises(BadData, match="a day old"):
        recipe.collect()


def test_fitting_does_not_change_the_estimator_of_the_recipe(recipe_from):
    recipe = recipe_from(IRIS)

    fitted = recipe.fit(recipe.collect(), seed=1)

    assert hasattr(fitted, "coef_")
    assert not hasattr(recipe.estimator, "coef_")


def test_an_estimator_from_a_function_gets_the_seed_of_the_run(recipe_from):
    recipe = recipe_from(
        IRIS.replace(
            "LogisticRegression(max_iter=500)", "lambda seed: DecisionTreeClassifier(random_state=seed)"
        )
    )

    assert recipe.fit(recipe.collect(), seed=7).random_state == 7


def targets(*values):
    return Table.of(np.zeros((len(values), 1)), np.array(values))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"] * 10, "classification"),
        ([0, 1] * 10, "classification"),
        ([1.0, 2.0, 3.0] * 10, "classification"),
        ([0.5, 1.5] * 10, "regression"),
        (list(range(50)), "regression"),
        (list(range(10)), "regression"),
        ([5, float("nan")] * 10, "classification"),
    ],
)
def test_the_task_is_inferred_from_the_target(recipe_from, values, task):
    assert recipe_from(IRIS).resolve(targets(*values)).task == task


def test_the_default_metric_depends_on_the_task():
    recipe = Recipe(model="iris", source=targets)

    assert recipe.resolve(targets(*["yes", "no"] * 10)).metric == "roc_auc"
    assert recipe.resolve(targets(*["a", "b", "c"] * 10)).metric == "accuracy"
    assert recipe.resolve(targets(*np.linspace(0, 1))).metric == "r2"


def test_the_default_metric_of_a_fixed_estimator_needs_no_probabilities(recipe_from):
    assert recipe_from(IRIS).resolve(targets(*["yes", "no"] * 10)).metric == "accuracy"


def test_a_metric_of_the_wrong_task_is_refused_once_the_target_is_known(recipe_from):
    recipe = recipe_from(IRIS.replace(")\n", ", metric='rmse')\n"))

    with pytest.raises(RecipeError, match="'rmse': for a classification, expected one of accuracy"):
        recipe.resolve(recipe.collect())


def test_options_of_the_recipe_are_kept_when_defaults_are_filled_in():
    given = {"task": "regression", "metric": "mae", "seed": 7, "schedule": "0 4 * * *"}
    recipe = Recipe(model="iris", source=targets, **given)

    decided = recipe.resolve(targets(*[0, 1] * 10))

    assert {name: getattr(decided, name) for name in given} == given


def test_the_seed_sets_random_states_that_the_recipe_does_not_set(recipe_from):
    recipe = recipe_from(
        """
from sklearn.ensemble import RandomForestClassifier
recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=RandomForestClassifier(3))
"""
    )
    table = recipe.collect()

    once, again, other = (recipe.fit(table, seed).predict_proba(table.matrix()) for seed in (1, 1, 2))

    assert (once == again).all()
    assert (once != other).any()


def test_a_mistyped_name_gets_a_suggestion(tmp_path):
    (tmp_path / "churn.py").write_text("")

    with pytest.raises(RecipeError, match=r"there is no recipe for chrun: did you mean 'churn'\?"):
        recipe_of("chrun", tmp_path)
    with pytest.raises(RecipeError, match=r"did you mean 'breast-cancer'\?"):
        recipe_of("breast_cancer", tmp_path)
