"""What is refused before training, what is dropped, and what is only reported."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from modelane.data.features import Feature
from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation.cleaning import clean
from modelane_training.preparation.validation import check
from modelane_training.recipe import Recipe
from modelane_training.sources import csv, scikit_learn

RNG = np.random.default_rng(0)
N = 400


def a_table(targets=None, **columns) -> Table:
    """Return 400 rows with two informative columns, and the given ones."""
    rng = np.random.default_rng(1)
    size = rng.normal(size=N)
    if targets is None:
        targets = np.where(size + rng.normal(size=N) > 0, "yes", "no")
    return Table.of(pd.DataFrame({"size": size, "plan": rng.choice(["a", "b", "c"], N), **columns}), targets)


def cleaned(table: Table, before=None, **options):
    return clean(table, Recipe(model="m", source=a_table, **options), before)


def codes(found) -> set[str]:
    return {finding.code for finding in found.findings}


def words(found, code: str) -> str:
    return next(finding.message for finding in found.findings if finding.code == code)


def test_valid_data_with_missing_values_passes_without_findings():
    table = a_table(age=np.where(np.arange(N) % 7 == 0, np.nan, np.random.default_rng(5).normal(size=N)))

    found = cleaned(table)

    assert found.table.sha256() == table.sha256()
    assert codes(found) <= {"doubtful targets"}


SMALL = {"rows": np.arange(40, dtype=float).reshape(20, 2), "targets": np.arange(20) % 2}


@pytest.mark.parametrize(
    ("changes", "task", "sentence"),
    [
        ({"features": (Feature("a", "float64"),)}, "classification", "make the table with Table.of"),
        ({"names": ("a", "a")}, "classification", "several features with the same name: a"),
        ({"targets": np.zeros((20, 2))}, "regression", r"targets of shape \(20, 2\)"),
        ({"targets": np.zeros(20, complex)}, "regression", "complex128: expected numbers or strings"),
        (
            {"rows": np.zeros((3, 2)), "targets": np.arange(3)},
            "regression",
            "the data has 3 rows: expected at least 10",
        ),
        ({"rows": np.zeros((20, 0)), "names": ()}, "classification", "no column to learn from"),
        (
            {"rows": np.full((20, 2), np.inf)},
            "regression",
            "rows 0, 1, 2 and 17 more: .* 'a' is infinite",
        ),
        (
            {"targets": np.where(np.arange(20) == 4, np.nan, 1.0)},
            "regression",
            "row 4: the target is nan: expected a finite number",
        ),
        ({"targets": np.full(20, "x")}, "regression", "strings, such as 'x': a regression expects numbers"),
        ({"targets": np.ones(20)}, "regression", "the target is 1.0 in every row: expected different values"),
        (
            {"targets": np.ones(20)},
            "classification",
            "the target is 1.0 in every row: expected at least two classes",
        ),
        ({"targets": np.arange(20) // 19}, "classification", "row 19: class 1 has only this row"),
        ({"targets": np.arange(20)}, "classification", "20 classes in 20 rows: .*task='regression'"),
        ({"targets": np.arange(20).astype(str)}, "classification", "check that it is the right column"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(changes, task, sentence):
    made = SMALL | changes
    table = Table.of(made["rows"], made["targets"], names=made.get("names", ("a", "b")))

    with pytest.raises(BadData, match=sentence):
        check(replace(table, features=made.get("features", table.features)), task)


def test_rows_without_a_target_are_dropped_and_counted():
    targets = a_table().targets.astype(object)
    targets[[3, 9]] = np.nan

    found = cleaned(a_table(targets))

    assert len(found.table) == N - 2
    assert found.dropped.without_target == 2
    assert words(found, "no target") == "dropped 2 rows without a target"
    assert found.table.targets.dtype.kind == "U"


def test_integer_targets_are_integers_again_after_missing_ones_are_dropped():
    targets = np.where(a_table().targets == "yes", 1.0, 0.0)
    targets[3] = np.nan

    assert cleaned(a_table(targets)).table.targets.dtype == np.int64


def test_too_many_rows_without_a_target_are_refused():
    targets = np.where(np.arange(N) < 100, np.nan, np.arange(N) % 2)

    with pytest.raises(BadData, match=r"100 of 400 rows have no target \(rows 0, 1, 2 and 97 more\)"):
        cleaned(a_table(targets))


def test_duplicate_rows_are_dropped_before_the_split():
    table = a_table()
    twice = table.take(np.concatenate([np.arange(N), [5, 7]]))

    found = cleaned(twice)

    assert found.table.sha256() == table.sha256()
    assert found.dropped.duplicates == 2
    assert words(found, "duplicates") == "dropped 2 rows equal to earlier ones: rows 5, 7"


def test_the_rows_of_a_file_that_was_appended_to_itself_are_used_once():
    table = a_table()

    assert cleaned(table.take(np.tile(np.arange(N), 2))).table.sha256() == table.sha256()


def test_rows_that_are_equal_by_chance_are_kept():
    rows = pd.DataFrame({f"q{n}": np.random.default_rng(n).integers(0, 3, N).astype(float) for n in range(3)})

    found = cleaned(Table.of(rows, np.arange(N) % 7 % 2))

    assert len(found.table) == N
    assert codes(found) >= {"alike", "contradictions"}


def test_equal_rows_of_different_groups_or_times_are_not_duplicates():
    table = a_table()
    twice = table.take(np.concatenate([np.arange(N), [5, 7]]))

    for more in ({"groups": np.arange(N + 2).astype(str)}, {"times": np.arange(N + 2.0)}):
        assert len(cleaned(replace(twice, **more)).table) == N + 2


def test_constant_columns_are_left_out():
    table = a_table(
        same=np.full(N, 3.0),
        none=np.full(N, np.nan),
        word=np.full(N, "x"),
        gap=np.where(RNG.random(N) < 0.5, 1, np.nan),
    )

    found = cleaned(table)

    assert found.table.names == ("size", "plan", "gap")
    assert found.left_out == {
        "same": "has the same value in all rows",
        "none": "has no value in any row",
        "word": "has the same value in all rows",
    }
    assert words(found, "left out") == "left out column 'same': it has the same value in all rows"
    assert cleaned(table, keep=("same", "none", "word")).table.names == table.names


def test_id_columns_rare_classes_and_missing_values_are_reported():
    targets = np.where(np.arange(N) % 50 == 0, "rare", a_table().targets)
    table = a_table(
        targets,
        code=[f"c{n:05}" for n in RNG.permutation(N)],
        number=np.arange(N),
        gap=np.where(np.arange(N) % 3 == 0, RNG.normal(size=N), np.nan),
    )

    found = cleaned(table)

    said = {(finding.code, finding.column) for finding in found.findings}
    assert {("id", "code"), ("id", "number"), ("missing", "gap"), ("rare class", None)} <= said
    assert words(found, "rare class") == "class rare is rare: 8 of 400 rows"


YES = a_table().targets == "yes"


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("fee", np.where(YES, RNG.uniform(1, 9, N), 0.0)),
        ("copy", np.where(YES, "j", "n")),
        ("gone", np.where(YES, np.datetime64("2024-01-01") + RNG.integers(0, 99, N), np.datetime64("NaT"))),
        ("reason", np.where(YES, RNG.choice(["price", "service"], N), None)),
    ],
)  # fmt: skip
def test_a_column_that_leaks_the_class_is_refused_by_name(column, values):
    table = a_table(**{column: values})

    with pytest.raises(BadData, match=rf"'{column}' gives the target away: .* recall (99|100)\..* keep="):
        cleaned(table)

    assert column in cleaned(table, keep=(column,)).table.names


@pytest.mark.parametrize("n_rare", [8, 60])
def test_a_column_that_leaks_a_very_rare_class_is_refused(n_rare):
    # Given a class that hardly occurs in an even sample of the rows
    rng = np.random.default_rng(5)
    targets = np.where(np.isin(np.arange(20_000), rng.choice(20_000, n_rare, replace=False)), "fraud", "fine")
    rows = pd.DataFrame({"size": rng.normal(size=20_000), "refund": (targets == "fraud").astype(float)})

    with pytest.raises(BadData, match=r"'refund' gives the target away: .* recall 100"):
        cleaned(Table.of(rows, targets))

    noisy = rows.assign(refund=np.where(rng.random(20_000) < 0.05, 1 - rows["refund"], rows["refund"]))
    assert "leak" not in codes(cleaned(Table.of(noisy, targets)))


def test_a_class_that_occurs_in_only_one_group_is_reported():
    groups = (np.arange(N) // 10).astype(str)
    table = replace(a_table(np.where(np.arange(N) < 10, "rare", a_table().targets)), groups=groups)

    said = words(cleaned(table, groups="id"), "one group")

    assert said == "class rare occurs in one group only: it is trained on, but never evaluated"


@pytest.mark.parametrize("leak", [lambda y: 2 * y + 7, np.exp, lambda y: -y])
def test_a_column_that_leaks_a_numeric_target_is_refused_by_name(leak):
    amounts = np.random.default_rng(3).normal(size=N)

    with pytest.raises(BadData, match=r"'total' gives the target away: .* R² (0\.99|1\.0)"):
        cleaned(a_table(amounts, total=leak(amounts)))


def test_two_columns_that_leak_the_target_are_named_together():
    with pytest.raises(BadData, match=r"'one'.*'two'.*leave_out=\('one', 'two'\)"):
        cleaned(a_table(one=YES, two=np.where(YES, "j", "n")))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_easy_data_is_not_reported_as_a_leak(name):
    found = clean((recipe := Recipe(model="m", source=scikit_learn(name))).collect(), recipe)

    assert "leak" not in codes(found)


def test_good_but_imperfect_columns_and_ids_are_not_reported_as_a_leak():
    nearly = np.where(RNG.random(N) < 0.03, ~YES, YES)

    assert "leak" not in codes(cleaned(a_table(nearly=nearly, id=[f"c{n}" for n in range(N)])))


def test_a_perfect_column_in_few_rows_is_reported_but_not_refused():
    table = a_table(copy=YES).take(np.arange(100))

    assert "column 'copy' gives the target away" in words(cleaned(table), "leak")


def test_rows_that_contradict_each_other_are_reported():
    table = a_table()
    targets = table.targets.copy()
    targets[0], targets[1] = "yes", "no"
    rows = table.rows.copy()
    rows.loc[1] = rows.loc[0]

    found = cleaned(replace(table, rows=rows, targets=targets))

    assert words(found, "contradictions") == "2 rows equal to others except for the target: rows 0, 1"


def test_a_row_with_an_improbable_label_is_reported():
    # Given two classes that two imperfect columns separate well, and three wrong labels
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 2
    rows = rng.normal(size=(N, 5)) + 2.5 * truth[:, None]
    targets = truth.copy()
    targets[[10, 20, 31]] = 1 - targets[[10, 20, 31]]
    rows[[10, 20, 31]] = 3.0 * truth[[10, 20, 31], None] + rng.normal(size=(3, 5)) / 9

    found = cleaned(Table.of(rows, targets))

    assert re.match(
        r"(3|4|5) rows may have the wrong class: rows 10, 20, 31", words(found, "doubtful targets")
    )


def test_an_error_names_row_numbers_of_the_file_even_if_other_rows_were_dropped(tmp_path):
    lines = [f"{n},{n % 2}" for n in range(30)] + ["0,0", "inf,1"]
    (tmp_path / "data.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    recipe = Recipe(model="m", source=csv(tmp_path / "data.csv"), target="y")

    with pytest.raises(BadData, match=r"data\.csv row 33: column 'x' is infinite"):
        clean(recipe.collect(), recipe)
