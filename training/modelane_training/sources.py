"""Where rows come from.  recipe → SOURCES → check → split.

A source is a function that reads everything anew at each run: a recipe may name one from here or
bring its own.
"""

from __future__ import annotations

import csv as csv_format
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from modelane.errors import BadData


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    source: str  #: where from, in words; it goes on the card
    features: tuple[str, ...]
    rows: NDArray[np.float64]  #: (n, d); NaN where a value is missing
    targets: NDArray[Any]  #: (n,); numbers, or strings for class names

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.intp]) -> Table:
        """A table of these rows, in this order."""
        return replace(self, rows=self.rows[index], targets=self.targets[index])

    def sha256(self) -> str:
        """Changes with any name, value or order."""
        digest = hashlib.sha256("\x1f".join(self.features).encode())
        for values in (self.rows, self.targets):
            digest.update(f"\x1e{values.dtype.str}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


#: Reads the data; its argument is the name of the recipe's target.
Source = Callable[[str], Table]


def scikit_learn(name: str) -> Source:
    """A data set that comes with scikit-learn, such as ``breast_cancer`` or ``diabetes``."""

    def read(target: str) -> Table:  # they have one target, whatever its name
        try:
            found = getattr(datasets, f"load_{name}")()
            names = tuple(str(feature) for feature in found.feature_names)
        except (AttributeError, ImportError) as exc:
            raise BadData(f"scikit-learn has no table named {name!r}") from exc
        return Table(
            source=f"scikit-learn's {name}",
            features=names,
            rows=np.asarray(found.data, dtype=np.float64),
            targets=np.asarray(found.target),
        )

    return read


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
        return Table(
            source=str(path),
            features=tuple(name for name in header if name != target),
            rows=np.array(
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
            targets=_narrowest([line[at] for line in lines]),
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
