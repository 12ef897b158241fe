"""Measure how far the data has moved since the champion was trained.

The measure is the population stability index (PSI): the sum, over the parts of a column, of
(share now - share then) · ln(share now / share then). The parts are the deciles of numbers or the most
frequent values of a category, and the missing values. As a rule of thumb, a PSI below 0.1 means no change,
and 0.25 or more a change that matters (N. Siddiqi, Credit Risk Scorecards, 2006). With few rows, chance alone
gives about (parts - 1) · (1/rows then + 1/rows now).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from msgspec.structs import replace

from modelane_training.dataset.table import Table
from modelane_training.preparation.data_profile import (
    MAX_CHARS,
    ColumnProfile,
    Finding,
    NumberSummary,
    Profile,
    TargetProfile,
    ValueCount,
)
from modelane_training.preparation.describe import decile_counts, present_numbers

#: A column has drifted from this PSI on.
DRIFTED = 0.25

#: It must also be this many times what chance gives.
_BEYOND_CHANCE = 3.0


def compare(now: Profile, table: Table, then: Profile, version: str) -> Profile:
    """Return the profile with the drift of each column, and a finding for each that has drifted.

    Args:
        now: the profile of this run's data.
        table: the rows that ``now`` describes.
        then: the profile of the champion's data.
        version: the champion.
    """
    earlier = {column.name: column for column in then.columns}
    columns, findings = [], list(now.findings)
    for column in now.columns:
        before = earlier.get(column.name)
        counts = None if before is None else _counts(column, before, table.rows[column.name])
        if counts is None or before is None:
            columns.append(column)
            continue
        index = psi(*counts)
        columns.append(replace(column, drift=index))
        if _has_drifted(index, *counts):
            findings.append(Finding("drift", _message(column, before, index, version), column.name))
    target, found = _target(now.target, then.target, table, version)
    return replace(now, columns=columns, target=target, findings=[*findings, *found], compared_with=version)


def psi(then: Sequence[int], now: Sequence[int]) -> float:
    """Return the population stability index of two counts of the same parts.

    Half a row is added to each part, so that none is empty.
    """
    before, after = (np.asarray(counts) + 0.5 for counts in (then, now))
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def _has_drifted(index: float, then: Sequence[int], now: Sequence[int]) -> bool:
    chance = (len(then) - 1) * (1 / max(sum(then), 1) + 1 / max(sum(now), 1))
    return index >= max(DRIFTED, _BEYOND_CHANCE * chance)


def _counts(
    now: ColumnProfile, then: ColumnProfile, values: pd.Series[object]
) -> tuple[list[int], list[int]] | None:
    """Count the rows in each part, then and now; return None if the columns cannot be compared."""
    if then.numbers is not None and now.dtype == then.dtype:
        counts = decile_counts(present_numbers(values), then.numbers.deciles)
        return [*then.numbers.decile_counts, then.n_missing], [*counts, now.n_missing]
    if then.top and now.dtype == then.dtype:
        return _category_counts(then.top, then, values)
    return None


def _category_counts(
    top: Sequence[ValueCount], then: ColumnProfile, values: pd.Series[object]
) -> tuple[list[int], list[int]]:
    found = values.dropna().astype(str).str[:MAX_CHARS].value_counts()
    now = [int(found.get(value.value, 0)) for value in top]
    n_missing = int(values.isna().sum())
    return (
        [*(value.count for value in top), then.n_rest, then.n_missing],
        [*now, len(values) - n_missing - sum(now), n_missing],
    )


def _message(now: ColumnProfile, then: ColumnProfile, index: float, version: str) -> str:
    change = ""
    if now.numbers and then.numbers and now.kind != "date":
        change = f"; its mean was {_mean(then.numbers)}, now it is {_mean(now.numbers)}"
    elif now.top and then.top and now.top[0].value != then.top[0].value:
        change = f"; its most frequent value was {then.top[0].value!r}, now it is {now.top[0].value!r}"
    return f"column {now.name!r} has drifted since {version} (PSI {index:.2f}){change}"


def _mean(numbers: NumberSummary) -> str:
    return "too large for float64" if numbers.mean is None else f"{numbers.mean:.4g}"


def _target(
    now: TargetProfile, then: TargetProfile, table: Table, version: str
) -> tuple[TargetProfile, list[Finding]]:
    counts = None
    if now.numbers and then.numbers:
        found = decile_counts(table.targets.astype(np.float64), then.numbers.deciles)
        counts = then.numbers.decile_counts, found
    elif now.classes and then.classes:
        before, after = ({each.value: each.count for each in side.classes} for side in (then, now))
        names = sorted({*before, *after})
        counts = [before.get(name, 0) for name in names], [after.get(name, 0) for name in names]
    if counts is None:
        return now, []
    index = psi(*counts)
    message = f"the target {now.name!r} has drifted since {version} (PSI {index:.2f})"
    findings = [Finding("drift", message, now.name)] if _has_drifted(index, *counts) else []
    return replace(now, drift=index), findings
