"""Draft a first recipe from data, for `modelane init`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelane.data.features import ColumnType
from modelane.errors import BadData
from modelane_training import sources
from modelane_training.dataset.column_kinds import column_kind, is_row_number
from modelane_training.dataset.table import Table
from modelane_training.preparation import leakage
from modelane_training.preparation.cleaning import why_constant, with_targets
from modelane_training.preparation.prepare import Prepared, prepare
from modelane_training.preparation.validation import check
from modelane_training.recipe import Recipe, Resolved
from modelane_training.sources import Source
from modelane_training.sources.folder import reader_of
from modelane_training.sources.sql import has_password, with_absolute_path
from modelane_worker.registry.card import Task

#: Environment variable for the URL of a database, if the URL has a password.
URL_VARIABLE = "DATABASE_URL"

#: If the rarer of two classes has a smaller share, the metric is average precision.
_RARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    prepared: Prepared
    left_out: dict[str, str]  #: column → why
    metric_reason: str
    code: str  #: content of the recipe file
    notes: list[str] = field(default_factory=list)  #: how the data was read, if not with the defaults


@dataclass(frozen=True, slots=True)
class Place:
    """Location of the data, and the code for it in a recipe."""

    function: str
    where: str  #: Python code of the first argument
    first: Any
    arguments: dict[str, Any]

    def source(self) -> Source:
        made: Source = getattr(sources, self.function)(self.first, **self.arguments)
        return made

    def code(self) -> str:
        named = "".join(f", {name}={_quoted(value)}" for name, value in self.arguments.items())
        return f"{self.function}({self.where}{named})"


def file_place(path: Path, recipes: Path) -> Place:
    """Return the place of a file or folder; the recipe names it relative to its own path.

    Raises:
        BadData: the path does not exist, or its format is not supported.
    """
    if not path.exists():
        raise BadData(f"{path} does not exist")
    relative = os.path.relpath(path.resolve(), recipes.resolve())
    where = f"Path(__file__).parent / {_quoted(Path(relative).as_posix())}"
    if path.is_dir():
        return Place("folder", where, path, {})
    reader = reader_of(path)
    if reader is None:
        raise BadData(
            f"{path}: expected a file that ends in .csv, .parquet or .jsonl, or a folder of such files"
        )
    return Place(reader.__name__, where, path, {})


def query_place(url: str, query: str, *, from_environment: bool) -> Place:
    """Return the place of a query.

    The URL stays out of the recipe if it has a password, or if it came from the environment.
    """
    hidden = from_environment or has_password(url)
    where = f'os.environ["{URL_VARIABLE}"]' if hidden else _quoted(with_absolute_path(url))
    return Place("sql", where, url, {"query": query})


def draft(model: str, place: Place, target: str, task: Task | None = None) -> Draft:
    """Read the data, decide the options of a recipe, and write its code.

    Raises:
        BadData: the data cannot be used for training.
    """
    table, place, notes = _collected(model, place, target)
    bare = Recipe(model=model, source=place.source(), target=target, task=task)
    left_out = _left_out(table, bare)
    recipe = replace(bare, leave_out=tuple(left_out))
    prepared = prepare(table.without(left_out), recipe)
    metric, reason = _metric(prepared.table, prepared.recipe)
    prepared = replace(prepared, recipe=replace(prepared.recipe, metric=metric))
    code = _code(prepared.recipe, place, left_out, reason)
    return Draft(prepared=prepared, left_out=left_out, metric_reason=reason, code=code, notes=notes)


def _collected(model: str, place: Place, target: str) -> tuple[Table, Place, list[str]]:
    """Read the data; read a CSV file again with other options if its error calls for them."""
    remedies = {
        "with a decimal comma": ({"decimal": ","}, "numbers have a decimal comma"),
        "is not text in utf-8": (
            {"encoding": "cp1252"},
            "the text is not UTF-8; it was read as cp1252 (Windows)",
        ),
    }
    notes: list[str] = []
    while True:
        try:
            return Recipe(model=model, source=place.source(), target=target).collect(), place, notes
        except BadData as exc:
            known = next((remedies[words] for words in remedies if words in str(exc)), None)
            if known is None or known[0].items() <= place.arguments.items():
                raise
            place = replace(place, arguments=place.arguments | known[0])
            notes.append(known[1])


def _left_out(table: Table, recipe: Recipe) -> dict[str, str]:
    """Return columns that are not used as features, each with the reason."""
    table = with_targets(table)
    reasons = {}
    for number, feature in enumerate(table.features):
        values = table.rows.iloc[:, number]
        if why := why_constant(values):
            reasons[feature.name] = why
        elif column_kind(values, feature) == "id" or (
            feature.type is ColumnType.NUMBER and is_row_number(values)
        ):
            reasons[feature.name] = "identifies the row, so there is nothing to learn from it"
    rest = table.without(reasons)
    if len(rest) >= leakage.MIN_ROWS and len(rest.features) >= leakage.MIN_COLUMNS:
        task = recipe.resolve(rest).task
        check(rest, task)
        for leak in leakage.find(rest, task):
            reasons[leak.column] = (
                f"gives the target away ({leak.strength(task)}); "
                "if it is known before the prediction, name it in keep"
            )
    return reasons


def _metric(table: Table, recipe: Resolved) -> tuple[str, str]:
    if recipe.task == "regression":
        return "r2", "share of the variance of the target that the model explains; 0 is as good as its mean"
    counts = np.sort(np.unique(table.targets, return_counts=True)[1])
    share = counts[0] / counts.sum()
    if len(counts) == 2:
        if share < _RARE:
            return "average_precision", f"one class is rare ({share:.1%}), so finding it counts"
        return "roc_auc", "how well the two classes are separated, independent of a threshold"
    if counts[0] * 2 < counts.mean():
        return "balanced_accuracy", "the classes differ in size, and each counts the same"
    return "accuracy", "the classes have similar sizes, so the share of correct answers counts"


def _code(recipe: Resolved, place: Place, left_out: dict[str, str], reason: str) -> str:
    imports = ["import os"] if "os.environ" in place.where else []
    imports += ["from pathlib import Path"] if "Path(" in place.where else []
    lines = [f'"""The recipe of {recipe.model}.  Written by `modelane init`; change it as you like."""', ""]
    lines += [*imports, ""] if imports else []
    lines += [
        "from modelane_training.recipe import Budget, Recipe",
        f"from modelane_training.sources import {place.function}",
        "",
        "recipe = Recipe(",
        f"    model={_quoted(recipe.model)},",
        f"    source={place.code()},",
        f"    target={_quoted(recipe.target)},",
        f"    task={_quoted(recipe.task)},",
        f"    # {reason}",
        f"    metric={_quoted(recipe.metric)},",
    ]
    if left_out:
        lines += ["    leave_out=("]
        for name, why in left_out.items():
            lines += [f"        # {why}", f"        {_quoted(name)},"]
        lines += ["    ),"]
    lines += [
        f"    budget=Budget(trials={recipe.budget.trials}, minutes={recipe.budget.minutes:g}),",
        '    # schedule="0 4 * * *",  # every night at four (UTC), requested by celery beat',
        '    # groups="customer",     # rows with the same value stay on the same side of a split',
        '    # time="day",            # the latest rows are the hold-out',
        ")",
        "",
    ]
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    """Return a Python literal; strings in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
