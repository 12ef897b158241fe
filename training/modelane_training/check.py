"""Refuse data that cannot be trained on, before anything is computed.  sources → CHECK → split."""

from __future__ import annotations

import numpy as np

from modelane.errors import BadData
from modelane_training.table import Table, features_of
from modelane_worker.card import Task

#: Fewer cannot be split into a training part and a hold-out that says anything.
MIN_ROWS = 10


def check(table: Table, task: Task) -> None:
    """Return if ``table`` can be trained on.

    Raises:
        BadData: naming what is wrong, and where.
    """
    if table.targets.dtype.kind not in "biufU":
        raise BadData("targets must be a NumPy array of numbers or of strings")
    if table.features != features_of(table.rows):
        raise BadData("the table's features are not those of its rows: make it with Table.of")
    if len(set(table.names)) != len(table.names):
        twice = {name for name in table.names if table.names.count(name) > 1}
        raise BadData(f"feature names must differ; more than once: {', '.join(sorted(twice))}")
    if table.targets.shape != (len(table),):
        raise BadData(f"{len(table)} rows have targets of shape {table.targets.shape}")
    if len(table) < MIN_ROWS:
        raise BadData(f"{len(table)} rows are too few, at least {MIN_ROWS} are needed")
    for name in table.names:
        values = table.rows[name].to_numpy()
        if values.dtype.kind == "f" and np.isinf(values).any():
            raise BadData(f"row {int(np.argmax(np.isinf(values)))}, column {name!r} is infinite")
    _check_targets(table, task)


def _check_targets(table: Table, task: Task) -> None:
    numeric = np.issubdtype(table.targets.dtype, np.number)
    if numeric and not np.isfinite(table.targets).all():
        row = int(np.argmin(np.isfinite(table.targets)))
        raise BadData(f"row {row} has no target: {table.targets[row]}")
    if task == "regression":
        if not numeric:
            raise BadData("the target of a regression must be a number")
        return
    classes, counts = np.unique(table.targets, return_counts=True)
    if len(classes) < 2:
        raise BadData(f"every target is {classes[0]}; there is nothing to tell apart")
    if counts.min() < 2:
        raise BadData(f"class {classes[counts.argmin()]} has one row, at least two are needed")
