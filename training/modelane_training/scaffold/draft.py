"""A first recipe for data that nobody has described yet.  sources, check → DRAFT → init."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelane.errors import BadData
from modelane_training import sources
from modelane_training.dataset.column_kinds import is_row_number, kind_of
from modelane_training.dataset.table import NUMBER, Table
from modelane_training.preparation import leakage
from modelane_training.preparation.cleaning import with_targets, without_meaning
from modelane_training.preparation.prepare import Prepared, prepare
from modelane_training.preparation.validation import check
from modelane_training.recipe import Recipe, Resolved
from modelane_training.sources import Source
from modelane_training.sources.folder import kind_of as kind_of_file
from modelane_training.sources.sql import anywhere, has_password
from modelane_worker.registry.card import Task

#: Where the recipe finds a database whose URL has a password.
URL_VARIABLE = "DATABASE_URL"

#: Of two classes, the share of the rarer one below which ranking is judged by the rare rows found.
_RARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    prepared: Prepared
    left_out: dict[str, str]  #: column → why
    metric_reason: str
    code: str  #: of the recipe's file
    said: list[str] = field(default_factory=list)  #: how the data had to be read


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data is, and how a recipe names it."""

    function: str
    where: str  #: Python, the first argument
    first: Any
    arguments: dict[str, Any]

    def source(self) -> Source:
        made: Source = getattr(sources, self.function)(self.first, **self.arguments)
        return made

    def code(self) -> str:
        named = "".join(f", {name}={_quoted(value)}" for name, value in self.arguments.items())
        return f"{self.function}({self.where}{named})"


def file_place(path: Path, recipes: Path) -> Place:
    """A file or a folder; the recipe names it from where it lies itself.

    Raises:
        BadData: there is none, or it is of no kind that can be read.
    """
    if not path.exists():
        raise BadData(f"{path} cannot be read: No such file or directory")
    relative = os.path.relpath(path.resolve(), recipes.resolve())
    where = f"Path(__file__).parent / {_quoted(Path(relative).as_posix())}"
    if path.is_dir():
        return Place("folder", where, path, {})
    reader = kind_of_file(path)
    if reader is None:
        raise BadData(f"{path}: expected a name that ends in .csv, .parquet or .jsonl, or a folder of them")
    return Place(reader.__name__, where, path, {})


def query_place(url: str, query: str, *, from_environment: bool) -> Place:
    """A query; its URL stays out of the recipe if it has a password, or came from the environment."""
    hidden = from_environment or has_password(url)
    where = f'os.environ["{URL_VARIABLE}"]' if hidden else _quoted(anywhere(url))
    return Place("sql", where, url, {"query": query})


def draft(model: str, place: Place, target: str, task: Task | None = None) -> Draft:
    """Look at the data, and write down what was decided.

    Raises:
        BadData: it cannot be trained on.
    """
    table, place, said = _collected(model, place, target)
    bare = Recipe(model=model, source=place.source(), target=target, task=task)
    left_out = _left_out(table, bare)
    recipe = replace(bare, leave_out=tuple(left_out))
    prepared = prepare(table.without(left_out), recipe)
    metric, reason = _metric(prepared.table, prepared.recipe)
    prepared = replace(prepared, recipe=replace(prepared.recipe, metric=metric))
    code = _code(prepared.recipe, place, left_out, reason)
    return Draft(prepared=prepared, left_out=left_out, metric_reason=reason, code=code, said=said)


def _collected(model: str, place: Place, target: str) -> tuple[Table, Place, list[str]]:
    """The data, read once more in another way where a CSV file asks for it."""
    remedies = {
        "holds a decimal comma": ({"decimal": ","}, "numbers have a decimal comma"),
        "is not text in utf-8": ({"encoding": "cp1252"}, "text is not UTF-8: read as Windows' cp1252"),
    }
    said: list[str] = []
    while True:
        try:
            return Recipe(model=model, source=place.source(), target=target).collect(), place, said
        except BadData as exc:
            known = next((remedies[words] for words in remedies if words in str(exc)), None)
            if known is None or known[0].items() <= place.arguments.items():
                raise
            place = replace(place, arguments=place.arguments | known[0])
            said.append(known[1])


def _left_out(table: Table, recipe: Recipe) -> dict[str, str]:
    """Columns that are no features, each with the reason."""
    table = with_targets(table)
    reasons = {}
    for number, feature in enumerate(table.features):
        values = table.rows.iloc[:, number]
        if why := without_meaning(values):
            reasons[feature.name] = why
        elif kind_of(values, feature) == "id" or (feature.dtype == NUMBER and is_row_number(values)):
            reasons[feature.name] = "names its row: nothing to learn from"
    rest = table.without(reasons)
    if len(rest) >= leakage.MIN_ROWS and len(rest.features) >= leakage.MIN_COLUMNS:
        task = recipe.resolve(rest).task
        check(rest, task)
        for leak in leakage.find(rest, task):
            reasons[leak.column] = (
                f"gives the target away ({leak.told(task)}); known when you ask? name it in keep"
            )
    return reasons


def _metric(table: Table, recipe: Resolved) -> tuple[str, str]:
    if recipe.task == "regression":
        return "r2", "the share of the target's variance that is explained; 0 is guessing its mean"
    counts = np.sort(np.unique(table.targets, return_counts=True)[1])
    share = counts[0] / counts.sum()
    if len(counts) == 2:
        if share < _RARE:
            return "average_precision", f"one class is rare ({share:.1%}): what counts is to find it"
        return "roc_auc", "how well the two classes are told apart, whatever the threshold"
    if counts[0] * 2 < counts.mean():
        return "balanced_accuracy", "the classes are of different size, and each counts the same"
    return "accuracy", "the classes are of about one size: the share of right answers"


def _code(recipe: Resolved, place: Place, left_out: dict[str, str], reason: str) -> str:
    imports = ["import os"] if "os.environ" in place.where else []
    imports += ["from pathlib import Path"] if "Path(" in place.where else []
    lines = [f'"""The recipe of {recipe.model}.  Written by `modelane init`; yours to change."""', ""]
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
        '    # schedule="0 4 * * *",  # every night, by `celery beat` or `modelane up`',
        '    # groups="customer",     # rows of one value stay on one side of every split',
        '    # time="day",            # the latest rows are held out',
        ")",
        "",
    ]
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    """A literal of Python, in double quotes, whatever is in it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
