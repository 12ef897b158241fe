"""The hold-out, split by class, group or time: rows keep their side when others are added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe


def a_table(n: int, *, classes: int = 2, seed: int = 0, **more) -> Table:
    """Return rows of numbers, text and dates, each with a unique ``number``."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "number": np.arange(n, dtype=float),
            "size": rng.normal(size=n),
            "plan": rng.choice(["solo", "team", "firm"], size=n),
            "since": np.datetime64("2024-01-01", "us") + rng.integers(0, 10**6, size=n),
        }
    )
    targets = np.arange(n) % classes if classes else rng.normal(size=n)
    return replace(Table.of(rows, targets), **more)


def cut(table: Table, task="classification", **options) -> tuple[list[float], list[float]]:
    recipe = Recipe(model="m", source=a_table, task=task, **options).resolve(table)
    training, hold_out = split(table, recipe)
    return training.rows["number"].tolist(), hold_out.rows["number"].tolist()


def test_a_split_loses_no_row_and_keeps_the_class_frequencies():
    table = a_table(20)

    training, hold_out = cut(table)

    assert (len(training), len(hold_out)) == (16, 4)
    assert sorted([*training, *hold_out]) == list(range(20))
    assert sorted(number % 2 for number in hold_out) == [0, 0, 1, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 400), st.integers(2, 5), st.floats(0.05, 0.5), st.integers(0, 99), st.booleans())
def test_any_split_has_every_class_on_both_sides_in_proportion(n, classes, share, seed, by_class):
    table = a_table(n, classes=classes if by_class else 0)

    training, hold_out = cut(table, "classification" if by_class else "regression", hold_out=share, seed=seed)

    assert sorted([*training, *hold_out]) == list(range(n))
    strata = [[x for x in hold_out if x % classes == c] for c in range(classes)] if by_class else [hold_out]
    for held in strata:
        of = n / len(strata)
        assert 1 <= len(held) <= of * share * 1.25 + 2
        assert len(held) >= of * share * 0.75 - 2


def test_the_same_data_and_recipe_give_the_same_hold_out_in_any_order():
    table = a_table(300)
    shuffled = table.take(np.random.default_rng(1).permutation(300))
    turned = Table.of(table.rows[["plan", "since", "number", "size"]], table.targets)

    _, first = cut(table, seed=5)

    assert sorted(cut(shuffled, seed=5)[1]) == sorted(cut(turned, seed=5)[1]) == sorted(first)
    assert sorted(cut(table, seed=6)[1]) != sorted(first)


@pytest.mark.parametrize(("task", "classes"), [("classification", 2), ("regression", 0)])
def test_added_rows_do_not_move_existing_rows(task, classes):
    # Given a table, and the same one with twice as many rows
    later = a_table(2000, classes=classes)
    before = later.take(np.arange(1000))

    # When both are split
    _, held_before = cut(before, task)
    training, held = cut(later, task)

    # Then no row has moved to the other side
    assert set(held_before) <= set(held)
    assert not set(held_before) & set(training)
    assert 350 < len(held) < 450


def test_a_growing_rare_class_moves_only_a_few_rows():
    table = a_table(1000)
    targets = np.where(np.arange(1000) % 100 == 0, "rare", "common")
    table = replace(table, targets=targets)

    _, held = cut(table)
    _, before = cut(table.take(np.arange(500)))

    assert sum(number % 100 == 0 for number in held) == 2
    assert len(set(before) - set(held)) <= 1


def test_equal_rows_have_different_positions():
    # Given a table of eight different rows, a hundred of each, like a survey
    rows = pd.DataFrame({f"q{bit}": (np.arange(800) >> bit) % 2 for bit in range(3)}).astype(float)
    table = Table.of(rows, np.arange(800) % 7 % 2)

    training, hold_out = split(table, Recipe(model="m", source=a_table).resolve(table))

    # Then the hold-out has a proportional part of each
    assert hold_out.rows.value_counts().min() >= 8
    assert training.rows.value_counts().min() >= 60


def test_no_group_is_on_both_sides():
    table = a_table(600, groups=np.array([f"customer {n // 3}" for n in range(600)]))

    training, hold_out = cut(table, groups="id")

    assert not {n // 3 for n in training} & {n // 3 for n in hold_out}
    assert 90 <= len(hold_out) <= 150


def test_a_group_keeps_its_side_when_its_rows_change_and_groups_are_added():
    groups = np.array([f"customer {n % 400}" for n in range(2000)])
    before = a_table(1000, seed=1, groups=groups[:1000])
    later = a_table(2000, seed=2, groups=groups)

    _, held_before = cut(before, groups="id")
    training, _ = cut(later, groups="id")

    assert not {n % 400 for n in held_before} & {n % 400 for n in training}


@pytest.mark.parametrize("sizes", [[80, 10, 10], [10, 80, 10], [50, 50], [1, 99], [34, 33, 33]])
def test_a_large_group_does_not_spoil_the_split(sizes):
    table = a_table(100, groups=np.repeat(np.arange(len(sizes)).astype(str), sizes))

    training, hold_out = cut(table, "regression", groups="id")

    assert 0 < len(hold_out) <= 50
    assert len(training) + len(hold_out) == 100


def test_a_class_of_two_groups_is_on_both_sides():
    groups = np.array([str(n // 10) for n in range(400)])
    targets = np.where((np.arange(400) // 10 == 3) | (np.arange(400) // 10 == 30), "rare", "common")
    for seed in range(5):
        table = replace(a_table(400, groups=groups), targets=targets)

        training, hold_out = cut(table, groups="id", seed=seed)

        for side in (training, hold_out):
            assert {3, 30} & {n // 10 for n in side}


def test_a_split_by_time_holds_out_the_latest_rows_and_keeps_equal_times_together():
    days = np.datetime64("2024-01-01", "us") + (np.arange(100) // 3).astype("timedelta64[D]")
    shuffled = np.random.default_rng(0).permutation(100)
    table = a_table(100, times=days).take(shuffled)

    training, hold_out = cut(table, time="day")

    assert max(training) < min(hold_out)
    assert min(hold_out) % 3 == 0
    assert 20 <= len(hold_out) <= 23


def test_a_split_by_time_and_group_never_evaluates_a_trained_group():
    table = a_table(100, times=np.arange(100.0), groups=(np.arange(100) % 30).astype(str))

    training, hold_out = cut(table, time="day", groups="id")

    assert hold_out == list(range(80, 100))
    assert not {n % 30 for n in training} & {n % 30 for n in hold_out}
    assert training


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"groups": np.full(20, "a")}, "all rows belong to the same group, 'a': expected"),
        ({"times": np.zeros(20)}, "the time of every row is 0.0: expected"),
        ({"times": np.arange(20.0), "groups": np.full(20, "a")}, "no row is left to train on"),
        (
            {"times": np.arange(20.0), "targets": np.array(["a", "b"] * 9 + ["a", "new"])},
            "class new occurs only later than all training rows .row 19., so it would be evaluated",
        ),
        (
            {"times": np.arange(20.0), "targets": np.array(["a", "b"] * 8 + ["a"] * 4)},
            "all rows of the hold-out have class a",
        ),
    ],
)
def test_a_split_that_cannot_be_evaluated_is_refused(changes, sentence):
    options = {"groups": "id"} if "groups" in changes else {}
    options |= {"time": "day"} if "times" in changes else {}

    with pytest.raises(BadData, match=sentence):
        cut(replace(a_table(20), **changes), **options)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_group_is_always_trained_on(seed):
    groups = np.array([str(n // 5) for n in range(100)])
    targets = np.where(np.arange(100) < 5, "rare", np.where(np.arange(100) % 2, "a", "b"))
    table = replace(a_table(100, groups=groups), targets=targets)

    training, hold_out = cut(table, groups="id", seed=seed)

    assert set(range(5)) <= set(training)
    assert 15 <= len(hold_out) <= 25


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (np.where(np.arange(100) < 5, "rare", "common"), "all rows of the hold-out have class common"),
        ((np.arange(100) // 5).astype(str), "each group has a class that no other group has"),
    ],
)
def test_groups_that_cannot_be_split_are_refused_with_any_seed(targets, sentence, seed):
    groups = np.array([str(n // 5) for n in range(100)])

    with pytest.raises(BadData, match=sentence):
        cut(replace(a_table(100, groups=groups), targets=targets), groups="id", seed=seed)


@pytest.mark.parametrize("seed", range(30))
def test_every_class_of_the_hold_out_has_a_training_group(seed):
    """Each group has two classes, and shares one of them with the next."""
    n = np.arange(120)
    targets = np.where(n % 2, n // 10, (n // 10 + 1) % 12).astype(str)
    table = replace(a_table(120, groups=(n // 10).astype(str)), targets=targets)

    training, hold_out = cut(table, groups="id", seed=seed)

    assert {targets[int(row)] for row in hold_out} <= {targets[int(row)] for row in training}


def test_positions_are_spread_evenly_and_are_the_same_on_every_machine():
    places = stable_hash.of_values(np.arange(10_000.0), seed=0)

    assert np.histogram(places, bins=10, range=(0, 1))[0].min() > 900
    assert stable_hash.of_values(np.array(["a", "b"]), seed=1) == pytest.approx([0.21664572, 0.0450516])
    assert stable_hash.of_values(np.array([1.0, 2.0]), seed=1) == pytest.approx([0.51402216, 0.96522058])
    rows = pd.DataFrame({"x": [0.0, -0.0, np.nan], "s": pd.Series(["a", "a", np.nan], dtype=object)})
    assert len(set(stable_hash.of_rows(rows, seed=0).tolist())) == 3
