"""Hash rows and values to positions in [0, 1) that depend only on their content and a seed.

The rows with a position below 0.2 are the same 20 % tomorrow, even if rows were added, removed or reordered.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def of_rows(rows: pd.DataFrame, seed: int) -> NDArray[np.float64]:
    """Return the position (n,) of each row; equal rows have different positions.

    The names of the columns matter, their order does not.
    """
    hashes = hashes_of_rows(rows)
    occurrence = pd.Series(hashes).groupby(hashes).cumcount().to_numpy().astype(np.uint64)
    return _positions(_mixed(hashes) + occurrence, seed)


def hashes_of_rows(rows: pd.DataFrame) -> Hashes:
    """Return a hash (n,) of each row; equal rows have the same hash."""
    total = np.zeros(len(rows), dtype=np.uint64)
    for number, name in enumerate(rows.columns):
        total += _mixed(_values(rows.iloc[:, number].to_numpy()) ^ _word(str(name)))
    return total


def of_values(values: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Return the position (n,) of each value; equal values have the same position."""
    return _positions(_values(values), seed)


def _positions(hashes: Hashes, seed: int) -> NDArray[np.float64]:
    mixed = _mixed(hashes ^ _word(f"seed {seed}"))
    positions: NDArray[np.float64] = (mixed >> np.uint64(11)) / 2.0**53
    return positions


def _values(values: NDArray[Any]) -> Hashes:
    if values.dtype.kind in "OU":
        codes, strings = pd.factorize(values)
        words: Hashes = np.array([*(_word(str(each)) for each in strings), np.uint64(0)], dtype=np.uint64)
        hashes: Hashes = words[codes]  # a missing value has the code -1, so it gets the last hash
        return hashes
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").view(np.uint64)
    numbers = values.astype(np.float64) + 0.0  # -0.0 equals 0.0
    numbers[np.isnan(numbers)] = np.nan  # one bit pattern for all of them
    return numbers.view(np.uint64)


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mixed(hashes: Hashes) -> Hashes:
    """Mix all bits of each hash with the finaliser of SplitMix64 (Steele et al., OOPSLA 2014)."""
    mixed = hashes + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
