"""Reading tables, their fingerprints, and data that is refused before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelane.data.features import Feature
from modelane.errors import BadData
from modelane_training.recipe import Recipe
from modelane_training.sources import Table, scikit_learn


def a_table(**changes: object) -> Table:
    names = changes.pop("names", ("a", "b"))
    rows = changes.pop("rows", np.arange(40, dtype=float).reshape(20, 2))
    table = Table.of(rows, changes.pop("targets", np.arange(20) % 2), names=names)
    return replace(table, **changes)


def test_a_data_set_of_scikit_learn_is_read_with_its_column_names():
    table = Recipe(model="m", source=scikit_learn("breast_cancer"), target="benign").collect()

    assert table.rows.shape == (569, 30)
    assert table.features[0] == Feature("mean radius", "float64")
    assert set(table.targets.tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["iris", "wine", "digits", "diabetes"])
def test_every_table_of_scikit_learn_can_be_read(name):
    table = Recipe(model="m", source=scikit_learn(name)).collect()

    assert table.numeric
    assert table.source == f"scikit-learn's {name}"


def test_a_data_set_of_several_targets_is_refused():
    with pytest.raises(BadData, match="linnerud has 3 targets: expected one"):
        Recipe(model="m", source=scikit_learn("linnerud")).collect()


@pytest.mark.parametrize("name", ["no_such", "sample_images", "digits_of_pi"])
def test_a_data_set_that_scikit_learn_does_not_have_is_refused(name):
    with pytest.raises(BadData, match=f"no table named '{name}'"):
        Recipe(model="m", source=scikit_learn(name)).collect()


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
