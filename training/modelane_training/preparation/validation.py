"""Refuse data that cannot be trained on, before anything is computed.  sources → CHECK → clean → split."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from modelane.errors import BadData
from modelane_training.dataset.table import Table, features_of
from modelane_training.preparation import leakage
from modelane_worker.registry.card import Task

#: Fewer cannot be split into a training part and a hold-out that says anything.
MIN_ROWS = 10

#: With fewer rows a class on average, a target is not one of classes.
MIN_ROWS_A_CLASS = 3


def check_form(table: Table) -> None:
    """Whether it is a table at all; what a recipe's own function gave may be none.

    Raises:
        BadData: naming what is wrong.
    """
    if table.targets.dtype.kind not in "biufUO":
        raise BadData("targets must be a NumPy array of numbers or of strings")
    if table.features != features_of(table.rows):
        raise BadData("the table's features are not those of its rows: make it with Table.of")
    if len(set(table.names)) != len(table.names):
        twice = {name for name in table.names if table.names.count(name) > 1}
        raise BadData(f"feature names must differ; more than once: {', '.join(sorted(twice))}")
    if table.targets.shape != (len(table),):
        raise BadData(f"{len(table)} rows have targets of shape {table.targets.shape}")


def check(table: Table, task: Task) -> None:
    """Whether a table can be trained on.

    Raises:
        BadData: naming what is wrong, and in which rows and columns.
    """
    check_form(table)
    if len(table) < MIN_ROWS:
        raise BadData(f"{len(table)} rows are too few, at least {MIN_ROWS} are needed")
    for number, name in enumerate(table.names):
        values = table.rows.iloc[:, number].to_numpy()
        if values.dtype.kind == "f" and np.isinf(values).any():
            where = table.where(np.flatnonzero(np.isinf(values)))
            raise BadData(f"{where}: column {name!r} is infinite; a value that is not known is left empty")
    _check_targets(table, task)
    if not table.features:
        raise BadData("there is no column to learn from beside the target")


def check_leaks(table: Table, task: Task, keep: Collection[str]) -> list[leakage.Leak]:
    """Columns that seem to give the target away where that is no reason to refuse.

    Args:
        keep: columns that are known when a prediction is asked for, whatever they tell.

    Raises:
        BadData: naming every column that gives it away.
    """
    found = [leak for leak in leakage.find(table, task) if leak.column not in keep]
    if not found or len(table) < leakage.MIN_ROWS or len(table.features) < leakage.MIN_COLUMNS:
        return found
    names = tuple(leak.column for leak in found)
    raise BadData(
        f"{'; '.join(leak.words(task) for leak in found)}.  If it is not known when a prediction is asked "
        f"for, leave it out: leave_out={names!r}; if it is, say so: keep={names!r}"
    )


def _check_targets(table: Table, task: Task) -> None:
    numeric = table.targets.dtype.kind in "biuf"
    if numeric and not np.isfinite(table.targets).all():
        row = int(np.argmin(np.isfinite(table.targets)))
        raise BadData(f"{table.where([row])} has no target: {table.targets[row]}")
    if task == "regression":
        if not numeric:
            raise BadData("the target of a regression must be a number")
        if len(table) and (table.targets == table.targets[0]).all():
            raise BadData(f"every target is {table.targets[0]}; there is nothing to predict")
        return
    classes, counts = np.unique(table.targets, return_counts=True)
    if len(classes) < 2:
        raise BadData(f"every target is {classes[0]}; there is nothing to tell apart")
    if len(classes) * MIN_ROWS_A_CLASS > len(table):
        remedy = "task='regression' predicts numbers" if numeric else "is it the right column?"
        raise BadData(f"the target has {len(classes):,} classes in {len(table):,} rows; {remedy}")
    if counts.min() < 2:
        name = classes[counts.argmin()]
        where = table.where(np.flatnonzero(table.targets == name))
        raise BadData(
            f"class {name} has one row ({where}), at least two are needed: correct it, or leave its row out"
        )
