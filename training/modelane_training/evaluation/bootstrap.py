"""The bootstrap: resamples of the hold-out, from which every confidence interval is computed.

Units are drawn with replacement, and every metric is computed from sums over units, so that a thousand
resamples are one matrix product. A unit is

- a row, if there are at most ``MAX_UNITS`` rows;
- with more rows, one of ``MAX_UNITS`` random sets of rows. The sums of sets vary as those of rows do, with a
  relative error of √(2 / MAX_UNITS), 3 %, and a million rows cost little more;
- a group, if rows belong to groups, because rows of one customer are not independent;
- a run of ∛n rows in the order of time, if there is one, because neighbours in time resemble each other.

Intervals are percentile intervals, widened if there are few units, as in T. Hesterberg, "What Teachers Should
Know About the Bootstrap" (2015), section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MAX_UNITS = 2000
RESAMPLES = 1000
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Resamples:
    """How often each unit was drawn in each resample of the rows."""

    units: NDArray[np.intp]  #: (n,); the unit of each row
    weights: Floats  #: (b, g); how often each of g units is in each of b resamples
    n_units: int  #: the units that the rows belong to; the width of an interval depends on it

    def take(self, index: NDArray[np.intp]) -> Resamples:
        """Return the same resamples, restricted to the rows with these indices."""
        units = self.units[index]
        return replace(self, units=units, n_units=len(np.unique(units)))

    def sum(
        self, values: NDArray[Any] | None = None, *, cells: NDArray[np.intp] | None = None, n_cells: int = 1
    ) -> Floats:
        """Sum values over the rows of each resample, separately for each cell.

        Args:
            values: (n,); default: 1 for each row, so that rows are counted.
            cells: (n,); the cell of each row, 0 ≤ cell < ``n_cells``; default: one cell for all rows.
            n_cells: the number of cells.

        Returns:
            (b, n_cells); the sums.
        """
        g = self.weights.shape[1]
        bins = self.units * n_cells + (0 if cells is None else cells)
        sums = np.bincount(bins, weights=values, minlength=g * n_cells).reshape(g, n_cells)
        return self.weights @ sums

    def first(self, n_resamples: int) -> Resamples:
        """Return the first of these resamples."""
        return replace(self, weights=self.weights[:n_resamples])


def without_resampling(n_rows: int) -> Resamples:
    """Return one resample that has every row once: the hold-out itself."""
    return Resamples(units=np.zeros(n_rows, dtype=np.intp), weights=np.ones((1, 1)), n_units=1)


def draw(
    n_rows: int,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    times: NDArray[Any] | None = None,
    n_resamples: int = RESAMPLES,
) -> Resamples:
    """Draw resamples of rows.

    Args:
        n_rows: the number of rows, n.
        seed: the same seed draws the same resamples.
        groups: (n,); the group of each row, if rows of one group depend on each other.
        times: (n,); the time of each row, if neighbours in time depend on each other.
        n_resamples: the number of resamples, b.
    """
    random = np.random.default_rng(seed)
    units = _units(n_rows, random, groups, times)
    g = int(units.max(initial=-1)) + 1
    drawn = random.integers(g, size=(n_resamples, g)) + g * np.arange(n_resamples)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=n_resamples * g).reshape(n_resamples, g)
    return Resamples(units=units, weights=weights.astype(np.float64), n_units=g)


def interval(values: Floats, n_units: int, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the confidence interval; None if too few resamples have a value.

    Args:
        values: (b,); one value per resample. Those that are NaN, such as an AUC without any positive row, are
            left out.
        n_units: the number of units; the interval is wider if they are few.
        level: the confidence level, a share.
    """
    finite = values[np.isfinite(values)]
    if n_units < 2 or len(finite) < len(values) / 2:
        return None
    reach = np.sqrt(n_units / (n_units - 1)) * stats.t.ppf((1 + level) / 2, n_units - 1)
    tail = float(stats.norm.sf(reach))
    # Each end is a value of a resample: interpolating between two would make the interval narrower.
    low = np.quantile(finite, tail, method="lower")
    high = np.quantile(finite, 1 - tail, method="higher")
    return float(low), float(high)


def _units(
    n_rows: int, random: np.random.Generator, groups: NDArray[Any] | None, times: NDArray[Any] | None
) -> NDArray[np.intp]:
    if groups is not None:
        units = np.unique(groups, return_inverse=True)[1].astype(np.intp)
    elif times is not None:
        order = np.argsort(times, kind="stable")
        units = np.empty(n_rows, dtype=np.intp)
        units[order] = np.arange(n_rows) // max(round(n_rows ** (1 / 3)), 1)
    else:
        units = random.permutation(n_rows)
    n_units = int(units.max(initial=-1)) + 1
    if n_units <= MAX_UNITS:
        return units
    return (random.permutation(n_units) % MAX_UNITS)[units]
