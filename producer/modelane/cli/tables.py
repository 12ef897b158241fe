"""Tables of the command line: drawn by rich on a terminal, plain columns everywhere else.

The base install has no rich, and programs that read a pipe want neither colours nor wrapped lines.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from importlib.util import find_spec
from typing import TextIO

import click

_GAP = "  "


def print_table(
    rows: Iterable[Sequence[object]],
    headings: Sequence[str] = (),
    *,
    right: Collection[int] = (),
    styles: Sequence[str] = (),
    file: TextIO | None = None,
) -> None:
    """Print rows below their headings.

    Cells may come from anywhere: control characters are replaced, and nothing is read as rich markup.

    Args:
        rows: the cells of each row; None is printed as ``-``. A cell may have several lines.
        headings: one per column; empty for a table without a heading line.
        right: positions of the columns that are aligned to the right.
        file: where to print; by default standard output.
        styles: one rich style per row, such as ``green``; empty for none. Plain columns have no colours.
    """
    table = [["-" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    stream = file or sys.stdout
    if stream.isatty() and find_spec("rich"):
        _draw(table, headings, right, styles, stream)
    else:
        _print_plain([[*headings], *table] if headings else table, right, stream)


def printable(text: str) -> str:
    """Return text from outside with control characters replaced, which a terminal could obey."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def _draw(
    rows: list[list[str]],
    headings: Sequence[str],
    right: Collection[int],
    styles: Sequence[str],
    stream: TextIO,
) -> None:
    from rich.console import Console  # noqa: PLC0415  # not in the base install
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(headings))
    for position in range(len(headings) or max(map(len, rows), default=0)):
        heading = Text(headings[position]) if headings else ""
        table.add_column(heading, justify="right" if position in right else "left", overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*map(Text, row), style=styles[number] if styles else None)
    Console(file=stream, highlight=False).print(table)


def _print_plain(rows: list[list[str]], right: Collection[int], stream: TextIO) -> None:
    lines = [line for row in rows for line in _lines(row)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if position in right else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        click.echo(_GAP.join(cells).rstrip(), file=stream)


def _lines(row: list[str]) -> Iterable[tuple[str, ...]]:
    """Return the lines of a row whose cells may have several; shorter cells are filled with empty lines."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    return zip(*(cell + [""] * (height - len(cell)) for cell in cells), strict=True)
