"""Reading tables, their fingerprints, and what is refused before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelane.errors import BadData
from modelane_training.check import check
from modelane_training.recipe import Recipe, Resolved
from modelane_training.sources import Table, csv, scikit_learn
from modelane_training.split import split
from modelane_worker.card import Feature


def a_table(**changes: object) -> Table:
    names = changes.pop("names", ("a", "b"))
    rows = changes.pop("rows", np.arange(40, dtype=float).reshape(20, 2))
    table = Table.of(rows, changes.pop("targets", np.arange(20) % 2), names=names)
    return replace(table, **changes)


@pytest.fixture
def write_csv(tmp_path):
    def write(text: str):
        (tmp_path / "data.csv").write_text(text)
        return csv(tmp_path / "data.csv")

    return write


def test_a_data_set_of_scikit_learn_is_read_with_its_names():
    table = scikit_learn("breast_cancer")("benign")

    assert table.rows.shape == (569, 30)
    assert table.features[0] == Feature("mean radius", "float64")
    assert set(table.targets.tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["no_such", "sample_images", "digits_of_pi"])
def test_a_data_set_that_scikit_learn_does_not_have_is_refused(name):
    with pytest.raises(BadData, match=f"no table named '{name}'"):
        scikit_learn(name)("target")


def test_a_csv_file_gives_numbers_missing_values_and_the_target(write_csv):
    table = write_csv("age,left,visits\n41,yes,3\n,no,0.5\n")("left")

    assert table.names == ("age", "visits")
    np.testing.assert_array_equal(table.rows, [[41, 3], [np.nan, 0.5]])
    assert table.targets.tolist() == ["yes", "no"]


@pytest.mark.parametrize(("text", "kind"), [("1\n2", "i"), ("1.5\n2", "f"), ("a\n1", "U")])
def test_a_target_is_as_narrow_as_it_can_be(write_csv, text, kind):
    lines = "\n".join(f"{value},0" for value in text.split())

    assert write_csv(f"y,x\n{lines}\n")("y").targets.dtype.kind == kind


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read"),
        ("a,b\n1,2\n", "has no column 'y'; it has a, b"),
        ("a,y\n1,2\n3\n", "row 3 has 1 values, not 2"),
        ("a,y\n1,2\nx,2\n", "row 3, column 'a': 'x' is not a number"),
    ],
)
def test_a_csv_file_that_is_wrong_says_where(write_csv, text, sentence):
    with pytest.raises(BadData, match=sentence):
        write_csv(text)("y")


def test_a_missing_csv_file_is_said_in_words(tmp_path):
    with pytest.raises(BadData, match="cannot be read: No such file"):
        csv(tmp_path / "none.csv")("y")


def test_a_fingerprint_changes_with_values_names_and_order():
    table = a_table()
    others = [
        table.take(np.arange(20)[::-1]),
        a_table(names=("b", "a")),
        a_table(rows=table.matrix() + 1),
        a_table(targets=1 - table.targets),
        a_table(targets=table.targets.astype(float)),
    ]

    assert a_table().sha256() == table.sha256()
    assert len({table.sha256(), *(other.sha256() for other in others)}) == 6


def test_sound_data_passes_with_missing_values():
    rows = a_table().matrix()
    rows[3, 1] = np.nan

    check(a_table(rows=rows), "classification")


@pytest.mark.parametrize(
    ("changes", "task", "sentence"),
    [
        ({"targets": np.array(["a", None] * 10)}, "classification", "of numbers or of strings"),
        ({"features": (Feature("a", "float64"),)}, "classification", "make it with Table.of"),
        ({"names": ("a", "a")}, "classification", "more than once: a"),
        ({"targets": np.zeros((20, 2))}, "regression", r"targets of shape \(20, 2\)"),
        ({"rows": np.zeros((3, 2)), "targets": np.arange(3)}, "regression", "3 rows are too few"),
        ({"rows": np.full((20, 2), np.inf)}, "regression", "row 0, column 'a' is infinite"),
        ({"targets": np.where(np.arange(20) == 4, np.nan, 1.0)}, "regression", "row 4 has no target"),
        ({"targets": np.full(20, "x")}, "regression", "must be a number"),
        ({"targets": np.ones(20)}, "classification", "every target is 1.0"),
        ({"targets": np.arange(20) // 19}, "classification", "class 1 has one row"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(changes, task, sentence):
    with pytest.raises(BadData, match=sentence):
        check(a_table(**changes), task)


def a_recipe(**changes: object) -> Resolved:
    return Recipe(model="iris", source=a_table, **changes).resolve(a_table())


def test_a_split_loses_no_row_and_keeps_the_shares_of_the_classes():
    training, hold_out = split(a_table(), a_recipe())

    assert (len(training), len(hold_out)) == (16, 4)
    assert sorted([*training.rows["a"], *hold_out.rows["a"]]) == a_table().rows["a"].tolist()
    assert hold_out.targets.sum() == 2


def test_the_same_data_and_recipe_give_the_same_hold_out():
    _, first = split(a_table(), a_recipe(seed=5))
    _, second = split(a_table(), a_recipe(seed=5))
    _, other = split(a_table(), a_recipe(seed=6))

    assert first.sha256() == second.sha256() != other.sha256()


def test_classes_that_do_not_fit_into_the_hold_out_are_refused():
    with pytest.raises(BadData, match="cannot be split"):
        split(a_table(targets=np.arange(20) // 2), a_recipe())
