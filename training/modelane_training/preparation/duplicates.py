"""Drop rows that occur more than once, before a copy can be on both sides of the split."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane_training.dataset.row_locations import count_rows
from modelane_training.dataset.table import Table
from modelane_training.preparation import stable_hash
from modelane_training.preparation.data_profile import Finding

#: Equal rows are taken for copies of one row if independent columns would give at most this many equal pairs.
MAX_CHANCE_PAIRS = 1.0


def drop_duplicates(table: Table) -> tuple[Table, list[Finding]]:
    """Drop all but the first of rows with equal features, target, group and time.

    They are kept if columns with so few distinct values give equal rows by chance, as in a survey.

    Returns:
        The table without the duplicates, and what was dropped or kept.
    """
    keys = pd.DataFrame({"row": stable_hash.hashes_of_rows(table.rows), "target": table.targets})
    if table.groups is not None:
        keys["group"] = table.groups
    if table.times is not None:
        keys["time"] = table.times
    repeated = keys.duplicated().to_numpy()
    if not repeated.any():
        return table, []
    number = count_rows(repeated.sum())
    if _pairs_by_chance(table, ~repeated) > MAX_CHANCE_PAIRS:
        message = f"kept {number} equal to others: columns with so few distinct values give them by chance"
        return table, [Finding("alike", message)]
    message = f"dropped {number} equal to earlier ones: {table.where(np.flatnonzero(repeated))}"
    return table.take(np.flatnonzero(~repeated)), [Finding("duplicates", message)]


def _pairs_by_chance(table: Table, distinct: NDArray[np.bool_]) -> float:
    """Return how many pairs of rows would be equal if the columns were independent of each other.

    Args:
        table: all rows.
        distinct: (n,); the first of each set of equal rows. Only these count for how often a value occurs,
            so that duplicates do not justify themselves.
    """
    pairs = len(table) * (len(table) - 1) / 2
    n_distinct = int(distinct.sum())
    if n_distinct < 2:
        return pairs
    for number in range(len(table.features)):
        counts = table.rows.iloc[distinct, number].value_counts(dropna=False).to_numpy(dtype=np.float64)
        pairs *= float((counts * (counts - 1)).sum()) / (n_distinct * (n_distinct - 1))
    return pairs
