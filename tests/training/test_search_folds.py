"""The validation rows of a search: never of a training group, never earlier, never of an unknown class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelane.errors import BadData
from modelane_training.search.cv_folds import folds
from training.mixed import mixed


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_folds_partition_the_rows(task):
    made = folds(mixed(task=task), task, seed=1)

    assert len(made) == 5
    assert sorted(np.concatenate([test for _, test in made])) == list(range(150))
    assert all(set(train).isdisjoint(test) for train, test in made)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_group_is_never_on_both_sides(task):
    groups = np.arange(150) % 12
    table = replace(mixed(task=task), groups=groups)

    assert all(set(groups[train]).isdisjoint(groups[test]) for train, test in folds(table, task, seed=1))


@pytest.mark.parametrize("groups", [None, np.arange(150) % 60], ids=["", "and groups"])
def test_validation_rows_are_later_than_training_rows(groups):
    times = np.random.default_rng(0).permutation(150).astype(float)
    table = replace(mixed(), times=times, groups=groups)

    made = folds(table, "classification", seed=1)

    assert len(made) == 5
    for train, test in made:
        assert times[train].max() < times[test].min()
        assert groups is None or set(groups[train]).isdisjoint(groups[test])


@pytest.mark.parametrize("n_moments", [2, 4, 30])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_rows_of_one_moment_are_on_one_side_only(n_moments, task):
    times = np.random.default_rng(0).integers(n_moments, size=150).astype(float)

    made = folds(replace(mixed(task=task), times=times), task, seed=1)

    assert 0 < len(made) <= min(5, n_moments - 1)
    for train, test in made:
        assert times[train].max() < times[test].min()


def test_rows_that_are_all_of_one_moment_are_refused_with_the_reason():
    table = replace(mixed(task="regression"), times=np.zeros(150))

    with pytest.raises(BadData, match="cannot be cross-validated: all rows have the same time"):
        folds(table, "regression", seed=1)


def test_a_class_that_appears_late_is_not_scored_before_training_has_seen_it():
    targets = np.where(np.arange(150) < 100, np.arange(150) % 2, 2)
    table = replace(mixed(), targets=targets, times=np.arange(150.0))

    for train, test in folds(table, "classification", seed=1):
        assert set(targets[test]) <= set(targets[train])


def test_rows_without_two_classes_at_any_time_are_refused():
    table = replace(mixed(), targets=(np.arange(150) >= 75).astype(int), times=np.arange(150.0))

    with pytest.raises(BadData, match="cannot be cross-validated"):
        folds(table, "classification", seed=1)
