"""Print answers of `modelane predict`: a table for people, JSON Lines for programs."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from modelane.broker.served_models import Served
from modelane.cli.tables import print_table
from modelane.client.answer import Answer
from modelane.data.prediction_columns import named_columns

Columns = dict[str, list[Any]]


def columns(answer: Answer, served: Served) -> Columns:
    """Return the columns of an answer by name, as Python values."""
    classes = served.classes if answer.version == served.version else None
    return {
        name: array.tolist() for name, array in named_columns(answer.values, answer.method, classes).items()
    }


def print_json(columns: Columns) -> None:
    """Print one JSON object per row; NaN and infinite numbers become null."""
    for values in zip(*columns.values(), strict=True):
        click.echo(msgspec.json.encode(dict(zip(columns, values, strict=True))).decode())


def print_answers(columns: Columns) -> None:
    """Print a table, one line per row."""
    lines = zip(*columns.values(), strict=True)
    print_table([[_text(value) for value in line] for line in lines], [*columns])


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
