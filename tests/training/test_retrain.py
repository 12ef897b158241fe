"""Complete runs: what is published, what is promoted, what a failure leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelane.errors import BadData, RecipeError, StoreError, TrainingError
from modelane_training.pipeline.run import seed_of
from modelane_training.preparation import data_profile
from modelane_training.preparation.prepare import prepare
from modelane_training.preparation.split import split
from modelane_training.recipe_loader import recipe_of
from modelane_worker.registry import artifact
from modelane_worker.registry.aliases import Aliases
from modelane_worker.registry.signing import SigningKey

IRIS = """
recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500))
"""
STEPS = ["collect", "check", "split", "fit", "evaluate", "gate", "publish", "promote"]


def parts(recipe):
    data = prepare(recipe.collect(), recipe)
    return split(data.table, data.recipe)


@pytest.fixture
def forest():
    return recipe_of("breast-cancer", Path("nowhere"))


def test_a_first_run_passes_all_steps_and_is_promoted(trainer, forest):
    outcome = trainer.run(forest)

    assert trainer.steps == STEPS
    assert trainer.rung == ["breast-cancer"]
    assert trainer.store.champion("breast-cancer") == outcome.version
    assert outcome.version.startswith("20261122T000001-")
    assert outcome.champion is None
    assert outcome.metrics["roc_auc"] > 0.98
    assert "there is no champion" in outcome.verdict.reason


def test_a_published_version_verifies_and_predicts_as_its_card_says(trainer, forest):
    # When a version is loaded as a worker loads it
    outcome = trainer.run(forest)
    verified = trainer.store.read("breast-cancer", outcome.version, trainer.trusted)
    estimator, card = artifact.load(verified), verified.card

    # Then the estimator has the accuracy that its card says, on the hold-out
    _, hold_out = parts(forest)
    accuracy = (estimator.predict(hold_out.matrix()) == hold_out.targets).mean()
    assert card.metrics["accuracy"] == pytest.approx(accuracy)

    # And the card describes the version
    assert card.classes == (0, 1)
    assert card.methods == ("predict", "predict_proba", "predict_log_proba")
    assert len(card.features) == len(card.example) == 30
    assert card.data.n_rows == 569
    assert card.libraries == artifact.libraries()


def test_a_second_run_trains_another_model_and_is_promoted_as_equal(trainer, forest):
    first, second = trainer.run(forest), trainer.run(forest)

    # Then both were evaluated on the same rows, and the second one is the champion
    assert second.champion == first.version
    assert second.champion_metrics == first.metrics
    assert second.verdict.promote
    aliases = trainer.store.aliases("breast-cancer")
    assert (aliases.champion, aliases.previous) == (second.version, first.version)

    # And it is a different model
    _, hold_out = parts(forest)
    one, other = (
        artifact.load(trainer.store.read("breast-cancer", version, trainer.trusted)).predict_proba(
            hold_out.matrix()
        )
        for version in (first.version, second.version)
    )
    assert np.abs(one - other).max() > 0.01


def test_a_version_can_be_reproduced_from_its_name(trainer, forest):
    outcome = trainer.run(forest)
    training, hold_out = parts(forest)

    again = forest.fit(training, seed_of(outcome.version))

    verified = trainer.store.read("breast-cancer", outcome.version, trainer.trusted)
    np.testing.assert_array_equal(
        again.predict_proba(hold_out.matrix()), artifact.load(verified).predict_proba(hold_out.matrix())
    )


def test_an_equal_candidate_is_published_but_not_promoted(trainer, recipe_from):
    recipe = recipe_from(IRIS)
    first, second = trainer.run(recipe), trainer.run(recipe)

    assert not second.verdict.promote
    assert "not better" in second.verdict.reason
    assert trainer.store.champion("iris") == first.version
    assert trainer.store.versions("iris") == [first.version, second.version]
    assert trainer.rung == ["iris"]


def test_a_first_candidate_below_the_limit_is_not_promoted(trainer, recipe_from):
    outcome = trainer.run(recipe_from(IRIS.replace(")\n", ", gate=Gate(worst=1.1))\n")))

    assert not outcome.verdict.promote
    assert trainer.store.champion("iris") is None
    assert trainer.rung == []


def test_a_regression_is_trained_and_evaluated_by_regression_metrics(trainer, recipe_from):
    outcome = trainer.run(
        recipe_from(
            """
            recipe = Recipe(
                model="diabetes", source=scikit_learn("diabetes"), estimator=LinearRegression(),
                task="regression", metric="rmse", gate=Gate(worst=70),
            )
            """
        )
    )

    assert outcome.verdict.promote
    assert set(outcome.metrics) == {"r2", "rmse", "mae", "median_ae"}
    card = trainer.store.read("diabetes", outcome.version, trainer.trusted).card
    assert card.classes is None
    assert card.methods == ("predict",)


def test_classes_can_be_strings(trainer, recipe_from, tmp_path):
    lines = "\n".join(f"{i},{'yes' if i > 25 else 'no'}" for i in range(50))
    (tmp_path / "data.csv").write_text(f"x,left\n{lines}\n")
    recipe = recipe_from(
        f"""
        recipe = Recipe(
            model="churn", source=csv({str(tmp_path / "data.csv")!r}), target="left",
            estimator=LogisticRegression(),
        )
        """
    )

    trainer.run(recipe)
    outcome = trainer.run(recipe)

    card = trainer.store.read("churn", outcome.version, trainer.trusted).card
    assert card.classes == ("no", "yes")
    assert outcome.champion_metrics == outcome.metrics


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda folder, key: (folder / "model.joblib").write_bytes(b"x"), id="tampered"),
        pytest.param(lambda folder, key: _rewrite(folder, key, numpy="1.0.0"), id="of other libraries"),
        pytest.param(lambda folder, key: (folder / "card.sig").unlink(), id="half gone"),
    ],
)
def test_a_champion_that_no_worker_can_load_does_not_block_its_successor(trainer, recipe_from, spoil):
    # Given a champion that a candidate could not beat, made unloadable
    recipe = recipe_from(IRIS)
    first = trainer.run(recipe)
    spoil(trainer.store.root / "iris" / first.version, trainer.key)

    # When the model is trained again
    second = trainer.run(recipe)

    # Then the new version is promoted, and the reason says why it was not compared
    assert second.verdict.promote
    assert "the champion cannot be loaded (" in second.verdict.reason
    assert second.champion_metrics == {}
    assert trainer.store.champion("iris") == second.version


WIDER = """
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

def read(target):
    rows = load_iris(as_frame=True).data
    return rows.assign(more=rows.sum(axis=1) ** 2), load_iris().target

recipe = Recipe(model="iris", source=read, keep=("more",), estimator=DummyClassifier())
"""
NARROWER = IRIS.replace("Recipe(", "Recipe(leave_out=('sepal width (cm)',), ")


def test_a_champion_is_compared_on_its_own_columns(trainer, recipe_from):
    first = trainer.run(recipe_from(IRIS))

    outcome = trainer.run(recipe_from(WIDER))

    assert not outcome.verdict.promote
    assert trainer.store.champion("iris") == first.version


@pytest.mark.parametrize("source", ['scikit_learn("wine")', "as_a_table"])
def test_a_champion_is_evaluated_with_a_dropped_column_on_rows_it_has_not_seen(trainer, recipe_from, source):
    # Given a champion
    body = f"""
        def as_a_table():
            given = scikit_learn("wine")(target="target")
            return Table.of(given.frame.drop(columns="target"), given.frame["target"].to_numpy())
        recipe = Recipe(model="wine", source={source}, %s estimator=DecisionTreeClassifier(random_state=0))
    """
    wider = recipe_from(body % "")
    first = trainer.run(wider)

    # When the recipe drops one of its columns
    narrower = recipe_from(body % "leave_out=('hue',), ")
    second = trainer.run(narrower)

    # Then both are compared on the champion's own hold-out, also in the next run
    assert second.champion_metrics == first.metrics
    assert not second.verdict.promote
    trainer.store.promote("wine", second.version)
    third = trainer.run(narrower)
    assert third.champion_metrics == third.metrics == second.metrics
    card = trainer.store.read("wine", third.version, trainer.trusted).card
    assert "hue" not in [feature.name for feature in card.features]


def test_a_champion_that_cannot_be_compared_stays_in_service(trainer, recipe_from, tmp_path):
    # Given a champion with a column that the data no longer has
    frame = pd.DataFrame({"x": np.arange(50), "z": np.arange(50) % 7, "left": np.arange(50) > 25})
    frame.to_csv(tmp_path / "data.csv", index=False)
    body = f"""
        recipe = Recipe(
            model="churn", source=csv({str(tmp_path / "data.csv")!r}), target="left", leave_out=%s,
            estimator=LogisticRegression(), gate=Gate(promote_equal=True, max_regression=1),
        )
    """
    first = trainer.run(recipe_from(body % "()"))
    frame.drop(columns="z").to_csv(tmp_path / "data.csv", index=False)

    # When the recipe drops that column and the model is trained again
    second = trainer.run(recipe_from(body % "('z',)"))

    # Then the candidate is published, the champion stays, and the reason says what to do
    assert not second.verdict.promote
    assert trainer.store.champion("churn") == first.version
    assert trainer.store.versions("churn") == [first.version, second.version]
    assert "needs columns that the data lacks, or has with another type: 'z'" in second.verdict.reason
    assert second.verdict.reason.endswith(
        f"; it stays in service: to replace it, run modelane promote churn {second.version}"
    )


@pytest.mark.parametrize(("before", "now"), [("abc", "ab"), ("abcd", "abc"), ("ab", "abc")])
def test_two_models_are_compared_even_if_a_class_was_added_or_removed(
    trainer, recipe_from, tmp_path, before, now
):
    def write(classes):
        lines = [f"{i},{classes[i % len(classes)]}" for i in range(40 * len(classes))]
        (tmp_path / "data.csv").write_text("x,left\n" + "\n".join(lines))

    recipe = recipe_from(
        f"""
        from sklearn.dummy import DummyClassifier
        recipe = Recipe(
            model="churn", source=csv({str(tmp_path / "data.csv")!r}), target="left",
            estimator=DummyClassifier(strategy="stratified"), gate=Gate(beat_baseline=False),
        )
        """
    )
    write(before)
    first = trainer.run(recipe)
    write(now)

    second = trainer.run(recipe)

    assert set(second.champion_metrics) == set(second.metrics)
    gone = "the data no longer has rows of class 'c'" in second.verdict.reason or (
        "the data no longer has rows of class 'd'" in second.verdict.reason
    )
    assert gone is (len(now) < len(before))
    if not second.verdict.promote:
        assert trainer.store.champion("churn") == first.version


def test_the_positive_class_is_the_rarest_of_all_rows_or_set_by_the_recipe(trainer, recipe_from, tmp_path):
    lines = "\n".join(f"{i},{'yes' if i > 80 else 'no'}" for i in range(100))
    (tmp_path / "data.csv").write_text(f"x,left\n{lines}\n")
    body = f"""
        recipe = Recipe(
            model="churn", source=csv({str(tmp_path / "data.csv")!r}), target="left", %s
            candidates=("linear",), budget=Budget(trials=1), metric="f1", gate=Gate(beat_baseline=False),
        )
    """
    found = [trainer.run(recipe_from(body % words)) for words in ("", "positive='no',")]

    cards = [trainer.store.read("churn", each.version, trainer.trusted).card for each in found]
    assert [card.evaluation["positive"] for card in cards] == ["yes", "no"]
    with pytest.raises(RecipeError, match=r"positive='maybe': expected one of two classes, .* 'no', 'yes'"):
        trainer.run(recipe_from(body % "positive='maybe',"))


def test_data_without_a_column_of_the_champion_is_refused(trainer, recipe_from):
    first = trainer.run(recipe_from(IRIS))

    with pytest.raises(BadData, match=r"no column 'sepal length .cm.', which the champion takes"):
        trainer.run(recipe_from(IRIS.replace('"iris")', '"wine")')))

    assert trainer.store.versions("iris") == [first.version]


def test_a_profile_of_the_data_is_stored_with_the_version_and_compared_with_the_next(trainer, recipe_from):
    recipe = recipe_from(IRIS)
    first, second = trainer.run(recipe), trainer.run(recipe)

    kept = [
        data_profile.decode(trainer.store.read("iris", version, trainer.trusted).files["profile.json"])
        for version in (first.version, second.version)
    ]

    assert [each.compared_with for each in kept] == [None, first.version]
    assert kept[0].n_rows == 149
    assert [column.drift for column in kept[1].columns] == [0, 0, 0, 0]
    assert "row 142" in trainer.said["check"][1]


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        ("Broken()", r"estimator of iris failed: ZeroDivisionError: division by zero \(line \d+\)"),
        ("FunctionTransformer(double)", "cannot be evaluated"),
        ("Holding()", "cannot be saved"),
    ],
)
def test_an_estimator_that_workers_cannot_load_is_refused_and_not_published(
    trainer, recipe_from, estimator, sentence
):
    recipe = recipe_from(
        f"""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        class Holding(LogisticRegression):
            def fit(self, rows, targets):
                self.lock = __import__("threading").Lock()
                return super().fit(rows, targets)

        class Broken(LogisticRegression):
            def fit(self, rows, targets):
                1 / 0

        def double(rows):
            return 2 * rows

        recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator={estimator})
        """
    )

    with pytest.raises(TrainingError, match=sentence):
        trainer.run(recipe)

    assert trainer.store.models() == []
    assert trainer.rung == []


def test_a_metric_that_cannot_be_computed_is_refused(trainer, recipe_from):
    recipe = recipe_from(
        """
        from sklearn.svm import LinearSVC
        recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=LinearSVC(), metric="brier")
        """
    )

    with pytest.raises(RecipeError, match=r"brier cannot be computed .* expected one of accuracy"):
        trainer.run(recipe)


def test_bad_data_is_refused_before_anything_is_trained(trainer, recipe_from):
    recipe = recipe_from(
        """
        def read(target):
            return Table.of(np.zeros((50, 1)), np.zeros(50, dtype=int))
        recipe = Recipe(model="iris", source=read, estimator=LogisticRegression())
        """
    )

    with pytest.raises(BadData, match="expected at least two classes"):
        trainer.run(recipe)

    assert trainer.steps == ["collect", "check"]


@pytest.mark.parametrize("last", STEPS)
def test_a_run_that_is_cancelled_at_any_step_does_not_change_the_champion(trainer, recipe_from, last):
    # Given a champion and a candidate that would be promoted
    recipe = recipe_from(IRIS.replace(")\n", ", gate=Gate(promote_equal=True))\n"))
    first = trainer.run(recipe)

    def cancel(step: str) -> None:
        if step == last:
            raise KeyboardInterrupt

    # When its run is cancelled
    with pytest.raises(KeyboardInterrupt):
        trainer.run(recipe, cancel)

    # Then the champion is unchanged, and every version in the store is complete
    assert trainer.store.champion("iris") == first.version
    for version in trainer.store.versions("iris"):
        trainer.store.read("iris", version, trainer.trusted)
    assert not list(trainer.store.root.glob("*/.*.partial"))


@pytest.mark.parametrize("last", STEPS)
def test_a_resumed_run_publishes_one_version_and_promotes_it(trainer, recipe_from, last):
    # Given a run whose trainer is lost at a step
    recipe = recipe_from(IRIS)

    def die(step: str) -> None:
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(recipe, die, run_id="the run")

    # When it is resumed
    outcome = trainer.run(recipe, run_id="the run")

    # Then there is one version, in service
    assert trainer.store.versions("iris") == [outcome.version]
    assert trainer.store.champion("iris") == outcome.version


def test_a_champion_that_changed_during_the_run_is_not_replaced(trainer, recipe_from):
    # Given a candidate that would be promoted, and an operator who rolls back during the run
    recipe = recipe_from(IRIS.replace(")\n", ", gate=Gate(promote_equal=True))\n"))
    first, second = trainer.run(recipe), trainer.run(recipe)

    def roll_back(step: str) -> None:
        if step == "publish":
            trainer.store.rollback("iris")

    third = trainer.run(recipe, roll_back)

    assert not third.verdict.promote
    assert third.verdict.reason.endswith(f"{first.version} became the champion during the run")
    assert trainer.store.aliases("iris") == Aliases(champion=first.version, previous=second.version)


def test_a_version_that_was_rolled_back_is_not_promoted_again_by_its_own_run(trainer, recipe_from):
    recipe = recipe_from(IRIS.replace(")\n", ", gate=Gate(promote_equal=True))\n"))
    first = trainer.run(recipe)
    trainer.run(recipe, run_id="the run")
    trainer.store.rollback("iris")

    again = trainer.run(recipe, run_id="the run")

    assert not again.verdict.promote
    assert trainer.store.champion("iris") == first.version


def test_a_store_that_cannot_be_read_does_not_count_as_a_missing_champion(trainer, recipe_from):
    recipe = recipe_from(IRIS)
    trainer.run(recipe)
    (trainer.store.root / "iris/aliases.json").write_text("{")

    with pytest.raises(StoreError, match="damaged"):
        trainer.run(recipe)


def _rewrite(folder: Path, key: SigningKey, **libraries: str) -> None:
    card = json.loads((folder / "card.json").read_bytes())
    card["libraries"] |= libraries
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "card.sig").write_bytes(key.sign((folder / "card.json").read_bytes()))
