"""What a version's data looked like, kept with it as ``profile.json``.  clean → PROFILE → publish, report.

Bounded: ten kilobytes a column at most, and columns beyond the first ``MAX_DETAILED`` have no more than
their name, type and counts.  Values of categories are in it, the most frequent ones; text and ids are not.

A new field gets a default; any other change raises ``FORMAT``, and ``decode`` reads no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelane.data.features import ColumnType, Feature
from modelane_training.dataset.column_kinds import Kind, kind_of
from modelane_training.dataset.table import Table
from modelane_training.preparation.finding import Dropped, Finding
from modelane_worker.registry.card import Task

if TYPE_CHECKING:
    from modelane_training.recipe import Resolved

PROFILE_FILE = "profile.json"
FORMAT = 1

MAX_DETAILED = 500
MAX_FINDINGS = 500
MAX_SHOWN = 12

_BARS = 20
_TENTHS = np.linspace(0, 1, 11)
_TOP = 20
MAX_CHARS = 80


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """Of numbers; of dates, in seconds since 1970 (UTC).  None where it is beyond float64."""

    min: float
    max: float
    mean: float | None
    std: float | None
    tenths: list[float]  #: quantiles 0, 0.1 … 1
    edges: list[float]  #: of bars of one width
    counts: list[int]  #: in each bar; the last one holds its right edge too
    tenth_counts: list[int]  #: between one of the different tenths and the next


class Value(msgspec.Struct, frozen=True):
    value: str  #: the first 80 characters
    count: int


class Column(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    dtype: str  #: as on the card
    kind: Kind
    n_missing: int
    n_distinct: int
    numbers: Numbers | None = None
    top: list[Value] = []  #: the most frequent values of a category, the most frequent first
    n_rest: int = 0  #: rows with other values than these
    mean_chars: float | None = None  #: of text
    drift: float | None = None  #: PSI against the version in service; None if there is nothing to compare


class Target(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    task: Task
    classes: list[Value] = []  #: the most frequent first
    numbers: Numbers | None = None
    drift: float | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    source: str
    n_rows: int  #: that are left, hold-out included
    dropped: Dropped
    left_out: dict[str, str]  #: column → why
    spare: list[str] = []  #: columns that are no features any more, but still decide which rows are held out
    columns: list[Column]
    target: Target
    findings: list[Finding]
    compared_with: str | None = None  #: the version whose data ``drift`` is against

    def names(self) -> list[str]:
        """Of all columns that the next table should have, if only to be compared with this one."""
        return [*(column.name for column in self.columns), *self.spare]

    def in_words(self) -> list[str]:
        """The first findings, for people who watch; all are in the report."""
        words = [finding.words for finding in self.findings[:MAX_SHOWN]]
        more = len(self.findings) - len(words)
        return [*words, f"{more} more findings: see the report"] if more else words

    def encode(self) -> bytes:
        """As JSON, indented: people read it too."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def decode(raw: bytes) -> Profile | None:
    """Read what :meth:`Profile.encode` wrote; None if it is of another format, or no profile."""
    try:
        profile = msgspec.json.decode(raw, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return profile if profile.format == FORMAT else None


def describe(
    table: Table,
    recipe: Resolved,
    *,
    findings: Sequence[Finding],
    dropped: Dropped,
    left_out: Mapping[str, str],
) -> Profile:
    """Look at all rows that are left."""
    columns = [
        _column(table.rows.iloc[:, number], feature, detailed=number < MAX_DETAILED)
        for number, feature in enumerate(table.features)
    ]
    return Profile(
        source=table.source,
        n_rows=len(table),
        dropped=dropped,
        left_out=dict(left_out),
        spare=[] if table.spare is None else list(table.spare.columns),
        columns=columns,
        target=_target(table, recipe),
        findings=list(findings[:MAX_FINDINGS]),
    )


def as_numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """What is there of numbers, or of dates as seconds since 1970."""
    present: NDArray[Any] = values.dropna().to_numpy()
    if present.dtype.kind == "M":
        return present.astype("datetime64[us]").astype(np.int64) / 1e6
    return present.astype(np.float64)


def tenth_counts(numbers: NDArray[np.float64], tenths: Sequence[float]) -> list[int]:
    """How many lie between one of the different tenths and the next; what is beyond them is at the ends."""
    inner = np.unique(tenths)[1:-1]
    counts = np.bincount(np.searchsorted(inner, numbers, side="left"), minlength=len(inner) + 1)
    return [int(count) for count in counts]


def _column(values: pd.Series[Any], feature: Feature, *, detailed: bool) -> Column:
    kind = kind_of(values, feature)
    column = Column(
        name=feature.name,
        dtype=feature.dtype,
        kind=kind,
        n_missing=int(values.isna().sum()),
        n_distinct=int(values.nunique()),
    )
    if not detailed or kind in ("nothing", "id"):
        return column
    if feature.type is not ColumnType.STRING:
        return msgspec.structs.replace(column, numbers=_numbers(as_numbers(values)))
    if kind == "text":
        return msgspec.structs.replace(column, mean_chars=float(values.dropna().str.len().mean()))
    top = _top(values)
    rest = len(values) - column.n_missing - sum(value.count for value in top)
    return msgspec.structs.replace(column, top=top, n_rest=rest)


def _numbers(numbers: NDArray[np.float64]) -> Numbers:
    low, high = float(numbers.min()), float(numbers.max())
    tenths = np.quantile(numbers, _TENTHS, method="inverted_cdf").tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(numbers.mean()), float(numbers.std())
        bars = 1 if not np.isfinite(high - low) or high == low else _BARS
        edges = np.linspace(low, high, bars + 1) if bars > 1 else np.array([low, high])
    at = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, bars - 1)
    return Numbers(
        min=low,
        max=high,
        mean=mean if np.isfinite(mean) else None,
        std=std if np.isfinite(std) else None,
        tenths=tenths,
        edges=edges.tolist(),
        counts=np.bincount(at, minlength=bars).tolist(),
        tenth_counts=tenth_counts(numbers, tenths),
    )


def _top(values: pd.Series[Any]) -> list[Value]:
    counts = values.value_counts().head(_TOP)
    return [Value(str(value)[:MAX_CHARS], int(count)) for value, count in counts.items()]


def _target(table: Table, recipe: Resolved) -> Target:
    target = Target(name=recipe.target, task=recipe.task)
    if recipe.task == "classification":
        return msgspec.structs.replace(target, classes=_top(pd.Series(table.targets)))
    return msgspec.structs.replace(target, numbers=_numbers(table.targets.astype(np.float64)))
