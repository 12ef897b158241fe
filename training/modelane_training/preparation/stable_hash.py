"""A place in [0, 1) for every row or group that depends on nothing but its content and a seed.

Whoever takes the rows below 0.2 takes the same ones tomorrow, whatever has been added, taken away or
put in another order since.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def of_rows(rows: pd.DataFrame, seed: int) -> NDArray[np.float64]:
    """For each row of a table; equal ones are counted, so that each has a place of its own.

    The order of the columns does not matter, their names do.
    """
    total = hashes_of_rows(rows)
    occurrence = pd.Series(total).groupby(total).cumcount().to_numpy().astype(np.uint64)
    return _places(_mixed(total) + occurrence, seed)


def hashes_of_rows(rows: pd.DataFrame) -> Hashes:
    """For each row, the same one for equal ones."""
    total = np.zeros(len(rows), dtype=np.uint64)
    for number, name in enumerate(rows.columns):
        total += _mixed(_values(rows.iloc[:, number].to_numpy()) ^ _word(str(name)))
    return total


def of_values(values: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """For each value (n,), the same one for equal ones."""
    return _places(_values(values), seed)


def _places(hashes: Hashes, seed: int) -> NDArray[np.float64]:
    mixed = _mixed(hashes ^ _word(f"seed {seed}"))
    places: NDArray[np.float64] = (mixed >> np.uint64(11)) / 2.0**53
    return places


def _values(values: NDArray[Any]) -> Hashes:
    if values.dtype.kind in "OU":
        codes, strings = pd.factorize(values)
        words: Hashes = np.array([*(_word(str(each)) for each in strings), np.uint64(0)], dtype=np.uint64)
        hashes: Hashes = words[codes]  # a missing one has the code -1, and so the last word
        return hashes
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").view(np.uint64)
    numbers = values.astype(np.float64) + 0.0  # -0.0 equals 0.0
    numbers[np.isnan(numbers)] = np.nan  # there are many
    return numbers.view(np.uint64)


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mixed(hashes: Hashes) -> Hashes:
    """Every bit of each depends on all others: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014)."""
    mixed = hashes + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
