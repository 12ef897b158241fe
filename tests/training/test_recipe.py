"""Finding, reading and refusing recipes."""

from __future__ import annotations

import sys

import pytest

from modelane.errors import BadData, BadInput, RecipeError
from modelane_training.recipe import MODULE_PREFIX, load_recipe, recipe_of

IRIS = """
recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500))
"""


def test_a_recipe_is_read_from_its_file(write, tmp_path):
    assert load_recipe(str(write(IRIS, "anything.py")), tmp_path).model == "iris"


def test_a_recipe_is_found_by_its_models_name(write, tmp_path):
    write(IRIS)

    assert load_recipe("iris", tmp_path / "recipes").model == "iris"


def test_a_name_with_a_hyphen_may_have_a_file_with_an_underscore(write, tmp_path):
    write(IRIS.replace('"iris",', '"my-iris",', 1), "my_iris.py")

    assert recipe_of("my-iris", tmp_path / "recipes").model == "my-iris"


def test_a_built_in_recipe_needs_no_folder(tmp_path):
    assert recipe_of("breast-cancer", tmp_path / "nowhere").metric == "roc_auc"


def test_a_recipe_of_ones_own_comes_before_a_built_in_one(write, tmp_path):
    write(IRIS.replace('"iris",', '"breast-cancer",', 1), "breast-cancer.py")

    assert recipe_of("breast-cancer", tmp_path / "recipes").metric == "accuracy"


def test_a_recipe_that_was_just_changed_is_read_as_it_is_now(write, tmp_path):
    # Given a change that leaves time and size of the file as they were, for a clock of seconds
    path = write(IRIS + "SEED = 1\n")
    load_recipe(str(path), tmp_path)
    write(IRIS.replace('"iris",', '"lily",', 1) + "SEED = 1\n")

    assert load_recipe(str(path), tmp_path).model == "lily"


def test_a_recipe_may_define_a_dataclass(recipe_from):
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


def test_a_model_without_a_recipe_says_where_one_is_expected(tmp_path):
    with pytest.raises(RecipeError, match=r"expected .*churn\.py \(MODELANE_RECIPES"):
        recipe_of("churn", tmp_path)


def test_a_recipe_of_another_model_is_refused(write, tmp_path):
    write(IRIS, "churn.py")

    with pytest.raises(RecipeError, match="is the recipe of iris, not of churn"):
        recipe_of("churn", tmp_path / "recipes")


@pytest.mark.parametrize("name", ["../recipes/iris", "/etc/passwd", "recipes/iris.py", "iris.py"])
def test_a_name_from_the_queue_is_never_a_path(write, tmp_path, name):
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
        ("", r"holds 0 Recipe objects, expected one"),
        (IRIS + IRIS.replace("recipe =", "second ="), r"holds 2 Recipe objects"),
        (IRIS.replace('"iris",', '"I R I S",', 1), r"'I R I S' is not a model's name"),
        (IRIS.replace(")\n", ", task='ranking')\n"), r"'ranking': expected one of classification"),
        (IRIS.replace(")\n", ", metric='rmse')\n"), r"'rmse': for a classification, expected one"),
        (IRIS.replace(")\n", ", hold_out=20)\n"), r"hold_out 20: expected a share"),
        (IRIS.replace(")\n", ", gate=Gate(max_regression=1))\n"), r"needs promote_equal"),
        (IRIS.replace('scikit_learn("iris")', '"iris.csv"'), r"source: expected a function"),
        (IRIS.replace("LogisticRegression(max_iter=500)", "'forest'"), r"estimator: expected"),
    ],
)
def test_a_recipe_that_cannot_be_used_says_why(recipe_from, body, sentence):
    with pytest.raises(RecipeError, match=r"the recipe .*iris\.py.*" + sentence):
        recipe_from(body)


def test_a_recipe_that_failed_leaves_no_module_behind(recipe_from):
    before = {name for name in sys.modules if name.startswith(MODULE_PREFIX)}

    with pytest.raises(RecipeError):
        recipe_from("1 / 0")

    assert {name for name in sys.modules if name.startswith(MODULE_PREFIX)} == before


def test_a_missing_file_is_said_in_words(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        load_recipe(str(tmp_path / "none.py"), tmp_path)


def test_a_source_that_fails_names_the_recipes_line(recipe_from):
    recipe = recipe_from(
        """
        def read(target):
            return {}[target]
        recipe = Recipe(model="iris", source=read, estimator=LogisticRegression())
        """
    )

    with pytest.raises(RecipeError, match=r"source of iris failed: KeyError: 'target' \(line 10\)"):
        recipe.collect()


def test_a_source_that_gives_no_table_is_refused(recipe_from):
    recipe = recipe_from(
        "recipe = Recipe(model='iris', source=lambda target: [[1]], estimator=LogisticRegression())"
    )

    with pytest.raises(RecipeError, match="gave a list, not a Table"):
        recipe.collect()


def test_a_source_may_refuse_its_data_itself(recipe_from):
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


def test_an_estimator_that_was_given_whole_is_not_changed_by_its_training(recipe_from):
    recipe = recipe_from(IRIS)

    fitted = recipe.fit(recipe.collect(), seed=1)

    assert hasattr(fitted, "coef_")
    assert not hasattr(recipe.estimator, "coef_")


def test_an_estimator_made_by_a_function_gets_the_runs_seed(recipe_from):
    recipe = recipe_from(
        IRIS.replace(
            "LogisticRegression(max_iter=500)", "lambda seed: DecisionTreeClassifier(random_state=seed)"
        )
    )

    assert recipe.fit(recipe.collect(), seed=7).random_state == 7
