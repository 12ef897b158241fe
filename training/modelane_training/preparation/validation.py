"""Refuse data that cannot be trained on, before anything expensive is computed."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from modelane.errors import BadData
from modelane_training.dataset.table import Table
from modelane_training.dataset.table_columns import features_of
from modelane_training.preparation import leakage
from modelane_worker.registry.card import Task

#: With fewer rows, neither the training rows nor the hold-out would mean anything.
MIN_ROWS = 10

#: With fewer rows per class on average, the target is not a target of classes.
MIN_MEAN_CLASS_ROWS = 3


def check_form(table: Table) -> None:
    """Check that a table is consistent; one that a recipe's own function returns may not be.

    Raises:
        BadData: the message says what is wrong.
    """
    if table.targets.dtype.kind not in "biufUO":
        raise BadData(f"the targets have dtype {table.targets.dtype}: expected numbers or strings")
    if table.features != features_of(table.rows):
        raise BadData("the table's features are not those of its rows: make the table with Table.of")
    if repeated := {name for name in table.names if table.names.count(name) > 1}:
        raise BadData(
            f"the table has several features with the same name: {', '.join(sorted(repeated))}; "
            "expected unique names"
        )
    if table.targets.shape != (len(table),):
        raise BadData(
            f"the table has {len(table)} rows and targets of shape {table.targets.shape}: "
            f"expected one target per row, shape ({len(table)},)"
        )


def check(table: Table, task: Task) -> None:
    """Check that a table can be trained on.

    Raises:
        BadData: the message says what is wrong, and in which rows and columns.
    """
    check_form(table)
    if len(table) < MIN_ROWS:
        raise BadData(f"the data has {len(table)} rows: expected at least {MIN_ROWS}; collect more")
    for number, name in enumerate(table.names):
        values = table.rows.iloc[:, number].to_numpy()
        if values.dtype.kind == "f" and np.isinf(values).any():
            where = table.where(np.flatnonzero(np.isinf(values)))
            raise BadData(
                f"{where}: column {name!r} is infinite: expected finite numbers; leave unknown values empty"
            )
    if task == "regression":
        _check_numbers(table)
    else:
        _check_classes(table)
    if not table.features:
        raise BadData("the data has no column to learn from: expected at least one besides the target")


def check_leaks(table: Table, task: Task, keep: Collection[str]) -> list[leakage.Leak]:
    """Return the columns that may give the target away, if the data is too small to be sure.

    Args:
        table: the rows.
        task: what is predicted.
        keep: columns whose values are known when a prediction is requested; they are not leaks.

    Raises:
        BadData: columns give the target away, and the data is large enough to be sure.
    """
    leaks = [leak for leak in leakage.find(table, task) if leak.column not in keep]
    if not leaks or len(table) < leakage.MIN_ROWS or len(table.features) < leakage.MIN_COLUMNS:
        return leaks
    names = tuple(leak.column for leak in leaks)
    raise BadData(
        f"{'; '.join(leak.message(task) for leak in leaks)}.  If its value is not known yet when a "
        f"prediction is requested, add leave_out={names!r} to the recipe; if it is known, add keep={names!r}"
    )


def _check_finite(table: Table) -> None:
    if table.targets.dtype.kind in "biuf" and not np.isfinite(table.targets).all():
        row = int(np.argmin(np.isfinite(table.targets)))
        raise BadData(f"{table.where([row])}: the target is {table.targets[row]}: expected a finite number")


def _check_numbers(table: Table) -> None:
    _check_finite(table)
    if table.targets.dtype.kind not in "biuf":
        raise BadData(
            f"the target has strings, such as {str(table.targets[0])!r:.40}: a regression expects numbers; "
            "task='classification' predicts classes"
        )
    if len(table) and (table.targets == table.targets[0]).all():
        raise BadData(
            f"the target is {table.targets[0]} in every row: expected different values; "
            "check that it is the right column"
        )


def _check_classes(table: Table) -> None:
    _check_finite(table)
    classes, counts = np.unique(table.targets, return_counts=True)
    if len(classes) < 2:
        raise BadData(
            f"the target is {classes[0]} in every row: expected at least two classes; "
            "check that it is the right column"
        )
    if len(classes) * MIN_MEAN_CLASS_ROWS > len(table):
        numeric = table.targets.dtype.kind in "biuf"
        remedy = "task='regression' predicts numbers" if numeric else "check that it is the right column"
        raise BadData(
            f"the target has {len(classes):,} classes in {len(table):,} rows: expected at least "
            f"{MIN_MEAN_CLASS_ROWS} rows per class on average; {remedy}"
        )
    if counts.min() < 2:
        name = classes[counts.argmin()]
        where = table.where(np.flatnonzero(table.targets == name))
        raise BadData(
            f"{where}: class {name} has only this row: expected at least two rows per class; "
            "correct its target, or leave the row out"
        )
