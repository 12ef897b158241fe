"""How far the data has moved since the version in service was made.  profile → DRIFT → profile, report.

By the population stability index: the sum over the parts of a column, tenths of its numbers or its most
frequent values, of (share now - share then) · ln(share now / share then).  Below 0.1 nothing has
happened, from 0.25 on something has; of few rows chance alone gives about (parts - 1) · (1/then + 1/now).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pandas as pd

from modelane_training.dataset.table import Table
from modelane_training.preparation.data_profile import (
    MAX_CHARS,
    Column,
    Numbers,
    Profile,
    Target,
    Value,
    as_numbers,
    tenth_counts,
)
from modelane_training.preparation.finding import Finding

MOVED = 0.25

#: By how much it must be beyond what chance gives.
_BEYOND_CHANCE = 3.0


def compare(now: Profile, table: Table, before: Profile, version: str) -> Profile:
    """The profile with the drift of each column, and what there is to say about it.

    Args:
        table: the rows that ``now`` describes.
        before: of ``version``, which is in service.
    """
    earlier = {column.name: column for column in before.columns}
    columns, findings = [], list(now.findings)
    for column in now.columns:
        then = earlier.get(column.name)
        counts = None if then is None else _counts(column, then, table.rows[column.name])
        if counts is None or then is None:
            columns.append(column)
            continue
        index = psi(*counts)
        columns.append(msgspec.structs.replace(column, drift=index))
        if _has_moved(index, *counts):
            findings.append(Finding("drift", _words(column, then, index, version), column.name))
    target, said = _target(now.target, before.target, table, version)
    return msgspec.structs.replace(
        now, columns=columns, target=target, findings=[*findings, *said], compared_with=version
    )


def psi(then: Sequence[int], now: Sequence[int]) -> float:
    """The index of two counts of the same parts; half a row more in each, so that none is empty."""
    before, after = (np.asarray(counts) + 0.5 for counts in (then, now))
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def _has_moved(index: float, then: Sequence[int], now: Sequence[int]) -> bool:
    chance = (len(then) - 1) * (1 / max(sum(then), 1) + 1 / max(sum(now), 1))
    return index >= max(MOVED, _BEYOND_CHANCE * chance)


def _counts(now: Column, then: Column, values: pd.Series[object]) -> tuple[list[int], list[int]] | None:
    """Rows in each part, what is missing being one; None where the two cannot be compared."""
    if then.numbers is not None and now.dtype == then.dtype:
        counts = tenth_counts(as_numbers(values), then.numbers.tenths)
        return [*then.numbers.tenth_counts, then.n_missing], [*counts, now.n_missing]
    if then.top and now.dtype == then.dtype:
        return _counts_of(then.top, then, values)
    return None


def _counts_of(top: Sequence[Value], then: Column, values: pd.Series[object]) -> tuple[list[int], list[int]]:
    shown = [value.value for value in top]
    found = values.dropna().astype(str).str[:MAX_CHARS].value_counts()
    now = [int(found.get(value, 0)) for value in shown]
    n_missing = int(values.isna().sum())
    return (
        [*(value.count for value in top), then.n_rest, then.n_missing],
        [*now, len(values) - n_missing - sum(now), n_missing],
    )


def _words(now: Column, then: Column, index: float, version: str) -> str:
    change = ""
    if now.numbers and then.numbers and now.kind != "date":
        change = f"; its mean was {_short(then.numbers)}, now it is {_short(now.numbers)}"
    elif now.top and then.top and now.top[0].value != then.top[0].value:
        change = f"; its most frequent value was {then.top[0].value!r}, now it is {now.top[0].value!r}"
    return f"column {now.name!r} has moved since {version} (PSI {index:.2f}){change}"


def _short(numbers: Numbers) -> str:
    return "beyond measure" if numbers.mean is None else f"{numbers.mean:.4g}"


def _target(now: Target, then: Target, table: Table, version: str) -> tuple[Target, list[Finding]]:
    counts = None
    if now.numbers and then.numbers:
        found = tenth_counts(table.targets.astype(np.float64), then.numbers.tenths)
        counts = then.numbers.tenth_counts, found
    elif now.classes and then.classes:
        before, after = ({each.value: each.count for each in side.classes} for side in (then, now))
        names = sorted({*before, *after})
        counts = [before.get(name, 0) for name in names], [after.get(name, 0) for name in names]
    if counts is None:
        return now, []
    index = psi(*counts)
    moved = _has_moved(index, *counts)
    words = f"the target {now.name!r} has moved since {version} (PSI {index:.2f})"
    said = [Finding("drift", words, now.name)] if moved else []
    return msgspec.structs.replace(now, drift=index), said
