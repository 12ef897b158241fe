"""The profile of a version's data, and the drift since then."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.preparation import data_profile, drift
from modelane_training.preparation.prepare import ChampionData, prepare
from modelane_training.recipe import Recipe


def a_table(n: int = 500, seed: int = 0, **columns) -> Table:
    rng = np.random.default_rng(seed)
    rows = {
        "age": rng.normal(40, 10, n),
        "visits": rng.poisson(3, n),
        "member": rng.random(n) < 0.4,
        "plan": rng.choice(["solo", "team", None], n, p=[0.5, 0.3, 0.2]),
        "since": np.datetime64("2024-01-01", "us") + rng.integers(0, 10**13, n),
        "note": [" ".join(rng.choice(list("abcdefghij"), 6)) for _ in range(n)],
        "code": [f"c{n}-{seed}" for n in range(n)],
    }
    return Table.of(
        pd.DataFrame(rows | columns), np.where(rows["age"] + rng.normal(0, 9, n) > 40, "yes", "no")
    )


def prepared(table: Table, before=None, **options):
    return prepare(table, Recipe(model="m", source=a_table, **options), before)


def served(table: Table) -> ChampionData:
    return ChampionData(version="v1", profile=prepared(table).profile)


def test_every_column_is_described_according_to_its_kind():
    found = prepared(a_table()).profile
    columns = {column.name: column for column in found.columns}

    kinds = ["number", "whole number", "yes or no", "category", "date", "text", "id"]
    assert [column.kind for column in found.columns] == kinds
    age = columns["age"].numbers
    assert age.mean == pytest.approx(40, abs=2)
    assert age.deciles[5] == pytest.approx(40, abs=2)
    assert sum(age.counts) == sum(age.decile_counts) == 500
    assert len(age.edges) == len(age.counts) + 1
    assert [value.value for value in columns["plan"].top] == ["solo", "team"]
    assert columns["plan"].n_missing == 500 - sum(value.count for value in columns["plan"].top)
    assert columns["since"].numbers.min >= 1_704_067_200
    assert columns["note"].mean_chars == 11
    assert sum(value.count for value in found.target.classes) == 500


def test_a_profile_contains_neither_text_nor_ids():
    table = a_table()

    raw = prepared(table).profile.encode().decode()

    assert "solo" in raw
    assert not any(value in raw for name in ("note", "code") for value in table.rows[name][:50])


def test_a_profile_survives_a_round_trip():
    found = prepared(a_table()).profile

    assert data_profile.decode(found.encode()) == found
    assert data_profile.decode(b"") is None
    assert data_profile.decode(b"\xff{") is None
    assert data_profile.decode(msgspec.json.encode(msgspec.structs.replace(found, format=2))) is None


def test_the_size_of_a_profile_is_bounded_for_many_columns_and_long_values():
    rng = np.random.default_rng(0)
    rows = {f"n{n}": rng.normal(size=30) for n in range(700)} | {"w": rng.choice(["x" * 10**5, "y"], 30)}
    table = Table.of(pd.DataFrame(rows), np.arange(30) % 2)

    assert len(prepared(table).profile.encode()) < 2 * 2**20


@settings(max_examples=20, deadline=None)
@given(stn.arrays(np.float64, st.integers(12, 40), elements=st.floats(allow_nan=True, allow_infinity=False)))
def test_numbers_of_any_magnitude_have_a_profile(values):
    rows = np.column_stack([values, np.arange(len(values)) ** 2])

    found = prepared(Table.of(rows, np.arange(len(values)) % 2)).profile

    assert data_profile.decode(found.encode()) == found


def test_data_of_the_same_distribution_shows_no_drift():
    found = prepared(a_table(seed=1), served(a_table(seed=0))).profile

    assert found.compared_with == "v1"
    assert {column.name for column in found.columns if column.drift is not None} == {
        "age", "visits", "member", "plan", "since",
    }  # fmt: skip
    assert not [finding.message for finding in found.findings if finding.code == "drift"]
    assert found.target.drift < 0.1


def test_drifted_columns_are_reported():
    table = a_table(seed=1)
    rows = table.rows.assign(age=table.rows["age"] + 12, plan=table.rows["plan"].map({"solo": "firm"}))
    moved = replace(
        table, rows=rows.astype({"plan": object}), targets=np.where(np.arange(500) % 9, "no", "yes")
    )

    found = prepared(moved, served(a_table(seed=0))).profile

    said = {finding.column: finding.message for finding in found.findings if finding.code == "drift"}
    assert set(said) == {"age", "plan", "target"}
    assert re.search(r"its mean was (39|40).*now it is 5", said["age"])
    assert said["plan"].endswith("its most frequent value was 'solo', now it is 'firm'")


def test_new_missing_values_count_as_drift():
    table = a_table(seed=1)
    rows = table.rows.assign(age=table.rows["age"].where(np.arange(500) % 2 == 0))

    found = prepared(replace(table, rows=rows), served(a_table(seed=0))).profile

    assert "age" in {finding.column for finding in found.findings if finding.code == "drift"}


def test_random_differences_of_few_rows_are_not_reported_as_drift():
    moves = [
        finding
        for seed in range(8)
        for finding in prepared(a_table(40, seed=seed), served(a_table(40, seed=99))).profile.findings
        if finding.code == "drift"
    ]

    assert len(moves) <= 2  # of 48 comparisons


def test_the_population_stability_index_has_its_published_value():
    # Siddiqi, Credit Risk Scorecards: two thirds compared with one third
    assert drift.psi([1000, 2000], [2000, 1000]) == pytest.approx(2 * np.log(2) / 3, rel=1e-2)
    assert drift.psi([5, 0, 3], [5, 0, 3]) == 0


def test_data_that_lacks_a_column_of_the_champion_is_refused():
    before = served(a_table())
    table = a_table(seed=1).without(["visits"])

    with pytest.raises(BadData, match=r"no column 'visits', which the champion takes.*leave_out="):
        prepared(table, before)

    assert "visits" not in prepared(table, before, leave_out=("visits",)).table.names


def test_a_column_whose_type_differs_from_what_callers_send_is_refused():
    before = served(a_table())
    table = a_table(seed=1, visits=np.random.default_rng(0).choice(["few", "many"], 500))

    with pytest.raises(BadData, match=r"'visits' has strings, but the champion takes numbers.*keep="):
        prepared(table, before)

    assert prepared(table, before, keep=("visits",)).table.features[1].dtype == "str"


def test_a_column_that_callers_send_is_kept_even_if_it_is_empty_or_constant():
    before = served(a_table())
    table = a_table(seed=1, plan=np.full(500, np.nan), visits=np.full(500, 3.0))

    found = prepared(table, before)

    assert found.table.features == a_table().features
    assert found.profile.left_out == {}


def test_a_column_that_the_champion_lacks_is_left_out_until_the_recipe_keeps_it():
    before = served(a_table(flag=np.zeros(500)))
    table = a_table(seed=1, flag=np.arange(500) % 3)

    found = prepared(table, before)

    assert found.table.names == a_table().names
    assert "add keep=('flag',) to the recipe" in found.profile.left_out["flag"]
    assert "flag" in prepared(table, before, keep=("flag",)).table.names

    # And the reason does not grow from run to run
    again = prepared(table, ChampionData(version="v2", profile=found.profile))
    assert again.profile.left_out == found.profile.left_out


def test_a_new_column_is_left_out_until_the_recipe_keeps_it():
    table = a_table(seed=1, more=np.random.default_rng(0).normal(size=500))
    before = served(a_table())

    waits, kept = prepared(table, before), prepared(table, before, keep=("more",))

    assert waits.table.names == a_table().names
    assert "add keep=('more',) to the recipe" in waits.profile.left_out["more"]
    assert "column 'more' is new: callers of this version must send it" in kept.profile.messages()


def test_columns_stay_in_the_order_in_which_callers_send_them():
    table = a_table(seed=1)

    found = prepared(table.only(table.names[::-1]), served(a_table()))

    assert found.table.names == a_table().names
