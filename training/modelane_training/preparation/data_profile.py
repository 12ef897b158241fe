"""The profile of the data that a version was trained on, stored with the version as ``profile.json``.

:mod:`~modelane_training.preparation.describe` makes a profile, the next run of the same model compares its
data with it, and the report shows it.

A profile is bounded: at most about 10 kB per column, and columns after the first ``MAX_DETAILED`` have only
their name, dtype, kind and counts. It contains the most frequent values of categories, but neither free text
nor ids.

A new field needs a default. Any other change needs a new ``FORMAT``; ``decode`` reads no other format.
"""

from __future__ import annotations

import msgspec

from modelane_training.dataset.column_kinds import ColumnKind
from modelane_worker.registry.card import Task

PROFILE_FILE = "profile.json"
FORMAT = 1

MAX_DETAILED = 500
MAX_FINDINGS = 500

#: Findings that a run prints; the report shows the others too.
MAX_PRINTED = 12

#: Characters of a value that a profile keeps.
MAX_CHARS = 80


class Finding(msgspec.Struct, frozen=True):
    """Something that a check found, that a person should know, and that does not stop the run."""

    code: str  #: stable, for programs: ``duplicates``, ``left out``, ``drift``, …
    message: str = msgspec.field(name="words")  #: for people, with rows and columns
    column: str | None = None  #: the column that it is about


class DroppedRows(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were dropped before the split."""

    without_target: int = 0
    duplicates: int = 0


class NumberSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of numbers, or of dates as seconds since 1970 (UTC)."""

    min: float
    max: float
    mean: float | None  #: None if it is too large for float64
    std: float | None  #: None if it is too large for float64
    deciles: list[float] = msgspec.field(name="tenths")  #: the quantiles 0, 0.1, …, 1
    edges: list[float]  #: of the histogram's bars, which are equally wide
    counts: list[int]  #: of each bar; the last bar includes its right edge
    decile_counts: list[int] = msgspec.field(name="tenth_counts")  #: between two consecutive distinct deciles


class ValueCount(msgspec.Struct, frozen=True):
    """A value and the number of rows that have it."""

    value: str  #: its first ``MAX_CHARS`` characters
    count: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one column holds."""

    name: str
    dtype: str  #: as on the card
    kind: ColumnKind
    n_missing: int
    n_distinct: int
    numbers: NumberSummary | None = None  #: of numbers and dates
    top: list[ValueCount] = []  #: the most frequent values of a category, in descending order
    n_rest: int = 0  #: rows with a value that is not in ``top``
    mean_chars: float | None = None  #: the mean length of text, in characters
    drift: float | None = None  #: population stability index against the champion; None: not comparable


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What the target holds."""

    name: str
    task: Task
    classes: list[ValueCount] = []  #: the most frequent classes, in descending order
    numbers: NumberSummary | None = None  #: of a regression
    drift: float | None = None  #: population stability index against the champion; None: not comparable


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the data of one run looked like."""

    format: int = FORMAT
    source: str  #: where the data is from, for people
    n_rows: int  #: after rows were dropped, hold-out included
    dropped: DroppedRows
    left_out: dict[str, str]  #: why the run left each of these columns out
    spare: list[str] = []  #: columns that are not features now, but still decide which rows are the hold-out
    columns: list[ColumnProfile]
    target: TargetProfile
    findings: list[Finding]
    compared_with: str | None = None  #: the version that every ``drift`` refers to

    def names(self) -> list[str]:
        """Return the columns that the next run should read, spare columns included."""
        return [*(column.name for column in self.columns), *self.spare]

    def messages(self) -> list[str]:
        """Return the messages of the first findings, for a run to print; the report shows all of them."""
        messages = [finding.message for finding in self.findings[:MAX_PRINTED]]
        more = len(self.findings) - len(messages)
        return [*messages, f"{more} more findings: see the report"] if more else messages

    def encode(self) -> bytes:
        """Return indented JSON, so that people can read it too."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def decode(raw: bytes) -> Profile | None:
    """Read what :meth:`Profile.encode` wrote; return None if it is not a profile of this format."""
    try:
        profile = msgspec.json.decode(raw, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return profile if profile.format == FORMAT else None
