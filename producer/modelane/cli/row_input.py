"""Read the rows of `modelane predict`: JSON, JSON Lines, CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from modelane.broker.served_models import Served
from modelane.data.features import ColumnType, Feature
from modelane.data.values import parse_number
from modelane.errors import BadInput, TooLarge

STANDARD_INPUT = "-"

#: What to do with a file of another format, by its suffix.
_INSTEAD = dict.fromkeys([".parquet", ".pq"], "use modelane score {model} {path} OUT for Parquet files") | (
    dict.fromkeys([".json", ".jsonl", ".ndjson"], "pipe it in: modelane predict {model} < {path}")
)

_EXPECTED = "expected a row [1, 2], rows [[1, 2], [3, 4]], a record {…}, or records [{…}, {…}]"


def from_json(arguments: Sequence[str], *, max_chars: int) -> list[Any]:
    """Return the rows of all arguments, or of standard input if there are none.

    Args:
        arguments: JSON; ``-`` is standard input, where JSON Lines are taken too.
        max_chars: largest number of characters to read from standard input.

    Raises:
        BadInput: the text is not JSON (the message says where), or there are no rows.
        TooLarge: more than ``max_chars``.
    """
    rows: list[Any] = []
    for number, argument in enumerate(arguments or [STANDARD_INPUT], start=1):
        if argument == STANDARD_INPUT:
            rows += _from_text(_standard_input(max_chars))
        else:
            rows += _rows(_parsed(argument, f"argument {number}, "), f"argument {number}: ")
    if not rows:
        raise BadInput(f"no rows given: {_EXPECTED}")
    if len(set(map(type, rows))) > 1:
        raise BadInput("lists and records are mixed: give either only lists or only records")
    return rows


def from_csv(path: str, served: Served, *, max_chars: int) -> list[dict[str, Any]]:
    """Return records with the columns that a model takes; an empty value is missing.

    Raises:
        BadInput: the file cannot be read, lacks a column, or has a value that its column does not take.
        TooLarge: the file has more than ``max_chars`` characters.
    """
    if (instead := _INSTEAD.get(Path(path).suffix.lower())) is not None:
        raise BadInput(f"{path} is not a CSV file: {instead.format(path=path, model=served.model)}")
    with _open(path) as file:
        lines = csv.reader(_at_most(max_chars, file), strict=True)
        try:
            header = next(lines, None)
            if header is None:
                raise BadInput(f"{path} is empty: expected a header line with the column names")
            header[:1] = [
                name.removeprefix("\ufeff") for name in header[:1]
            ]  # a byte order mark; only files are decoded as utf-8-sig
            places = [_place(column, header, path, served.model) for column in served.features]
            records = []
            for line in lines:
                if not line:
                    continue
                where = f"{path} line {lines.line_num}"
                if len(line) != len(header):
                    raise BadInput(
                        f"{where} has {len(line)} values, but the header has {len(header)} columns"
                    )
                records.append(
                    {
                        column.name: _value(line[place], column, where)
                        for column, place in zip(served.features, places, strict=True)
                    }
                )
        except (csv.Error, UnicodeDecodeError) as exc:
            where = f"{path} line {lines.line_num + 1}"
            raise BadInput(f"{where} cannot be read as CSV in UTF-8: {exc}") from exc
    if not records:
        raise BadInput(f"{path} has a header, but no rows")
    return records


def _standard_input(max_chars: int) -> str:
    if sys.stdin.isatty():
        raise click.UsageError(
            "no rows given: pass JSON arguments, --csv FILE, or pipe rows into standard input"
        )
    text = sys.stdin.read(max_chars + 1)
    if len(text) > max_chars:
        raise _too_large(max_chars)
    return text


def _at_most(max_chars: int, file: TextIO) -> Iterator[str]:
    left = max_chars
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise _too_large(max_chars)
        yield line


def _too_large(max_chars: int) -> TooLarge:
    return TooLarge(f"the input has more than {max_chars} characters: use modelane score for large files")


def _from_text(text: str) -> list[Any]:
    """Read one JSON document, or one per line."""
    if not text.strip():
        return []
    try:
        return _rows(json.loads(text), "")
    except json.JSONDecodeError as exc:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or not text.lstrip().startswith(("{", "[")) or not _is_json(lines[0][1]):
            raise _no_json(exc, "") from exc
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"the input is not valid JSON: {exc}") from exc
    rows: list[Any] = []
    for number, line in lines:
        rows += _rows(_parsed(line, "", line_number=number), f"line {number}: ")
    return rows


def _parsed(text: str, where: str, *, line_number: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise _no_json(exc, where, line_number) from exc
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"{where}not valid JSON: {exc}") from exc


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_json(exc: json.JSONDecodeError, where: str, line_number: int | None = None) -> BadInput:
    at = f"line {line_number or exc.lineno}, column {exc.colno}"
    return BadInput(f"not valid JSON: {where}{at}: {exc.msg}; {_EXPECTED}")


def _rows(value: Any, where: str) -> list[Any]:
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(row, list | dict) for row in value):
            return value
        if not any(isinstance(item, list | dict) for item in value):
            return [value]
    if value == []:
        return []
    raise BadInput(f"{where}{_EXPECTED}")


@contextmanager
def _open(path: str) -> Iterator[TextIO]:
    if path == STANDARD_INPUT:
        yield sys.stdin
        return
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            yield file
    except OSError as exc:
        raise BadInput(f"{path} cannot be read: {exc.strerror}") from exc


def _place(column: Feature, header: list[str], path: str, model: str) -> int:
    found = header.count(column.name)
    if found == 1:
        return header.index(column.name)
    has = f"has only {', '.join(header)}" if not found else f"has {found} columns of that name"
    raise BadInput(f"model {model} needs the column {column.name!r:.60}, but {path} {has:.500}")


def _value(text: str, column: Feature, where: str) -> str | float | None:
    if column.type is not ColumnType.NUMBER:
        return text if text.strip() else None
    try:
        return parse_number(text)
    except ValueError as exc:
        raise BadInput(f"{where}: column {column.name!r} takes numbers, but the value is not one") from exc
