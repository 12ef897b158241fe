"""Answers as `modelane predict` prints them: a table for people, JSON Lines for programs."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from modelane.broker.served_models import Served
from modelane.client.answer import Answer
from modelane.data.prediction_columns import named_columns

Columns = dict[str, list[Any]]


def columns(answer: Answer, served: Served) -> Columns:
    """By name, in Python's own types."""
    classes = served.classes if answer.version == served.version else None
    return {
        name: array.tolist() for name, array in named_columns(answer.values, answer.method, classes).items()
    }


def print_json(columns: Columns) -> None:
    """An object a row; a number that JSON has no form for is null."""
    for values in zip(*columns.values(), strict=True):
        click.echo(msgspec.json.encode(dict(zip(columns, values, strict=True))).decode())


def print_table(columns: Columns) -> None:
    """Drawn with rich on a terminal, if it is there."""
    lines = [[_spoken(value) for value in values] for values in zip(*columns.values(), strict=True)]
    if sys.stdout.isatty():
        try:
            _draw([*columns], lines)
        except ImportError:
            pass
        else:
            return
    widths = [max(map(len, texts)) for texts in zip([*columns], *lines, strict=True)]
    for line in ([*columns], *lines):
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _draw(names: list[str], lines: list[list[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  of the extra bulk
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*map(escape, names))
    for line in lines:
        table.add_row(*(Text(text) for text in line))  # not as markup: a class may be named [b]
    Console().print(table)


def _spoken(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
