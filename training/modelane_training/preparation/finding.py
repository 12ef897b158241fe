"""Something that a check has to say and that stops nothing.  clean → FINDING → profile, report."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    code: str  #: stable, for programs: ``duplicates``, ``constant``, ``drift`` …
    words: str  #: a sentence for people, with rows and columns
    column: str | None = None


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that training does not get."""

    without_target: int = 0
    duplicates: int = 0
