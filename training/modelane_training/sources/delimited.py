"""CSV files."""

from __future__ import annotations

import csv as csv_format
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelane.errors import BadData
from modelane_training.sources.source import Source
from modelane_training.table import Table


def csv(path: str | Path) -> Source:
    """A CSV file with a header; every column but the target holds numbers or nothing.

    Args:
        path: seen from where the program runs; ``Path(__file__).with_name("data.csv")`` in a recipe
            is beside it.
    """

    def read(target: str) -> Table:
        try:
            with Path(path).open(newline="", encoding="utf-8-sig") as file:
                header, *lines = csv_format.reader(file)
        except ValueError as exc:
            raise BadData(f"{path} cannot be read: {exc or 'it is empty'}") from exc
        except OSError as exc:
            raise BadData(f"{path} cannot be read: {exc.strerror}") from exc
        if target not in header:
            raise BadData(f"{path} has no column {target!r}; it has {', '.join(header)}")
        at = header.index(target)
        for number, line in enumerate(lines, start=2):
            if len(line) != len(header):
                raise BadData(f"{path} row {number} has {len(line)} values, not {len(header)}")
        return Table.of(
            np.array(
                [
                    [
                        _number(value, f"{path} row {number}, column {name!r}")
                        for name, value in zip(header, line, strict=True)
                        if name != target
                    ]
                    for number, line in enumerate(lines, start=2)
                ],
                dtype=np.float64,
            ).reshape(len(lines), len(header) - 1),
            _narrowest([line[at] for line in lines]),
            names=tuple(name for name in header if name != target),
            source=str(path),
        )

    return read


def _number(value: str, where: str) -> float:
    if not value.strip():
        return np.nan
    try:
        return float(value)
    except ValueError as exc:
        raise BadData(f"{where}: {value!r:.80} is not a number") from exc


def _narrowest(values: list[str]) -> NDArray[Any]:
    """As whole numbers, else as numbers, else as text."""
    for dtype in (np.int64, np.float64):
        try:
            return np.array(values, dtype=dtype)
        except ValueError:
            continue
    return np.array(values)
