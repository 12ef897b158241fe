"""What a source gives, before its columns have types.  sources, RAW, type_inference."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from modelane_training.dataset.row_locations import BY_INDEX, Places

#: Bytes that a file may hold once it is unpacked, and cells that a query may give: a training copies
#: the data a few times, and a machine that runs out of memory says nothing useful.
MAX_BYTES = 4 * 2**30
MAX_CELLS = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """Columns as they were read, the target's among them.

    :mod:`modelane_training.dataset.type_inference` finds their kinds.

    Attributes:
        name: where from, in words; never a secret.
        untyped: every value is a string because the format has no types (CSV).
        text: columns that are text whatever they look like.
        decimal: the decimal sign of numbers in strings.
        missing: strings that stand for no value.
        notes: what the reader of the data should know.
    """

    name: str
    frame: pd.DataFrame
    places: Places = BY_INDEX
    untyped: bool = False
    text: tuple[str, ...] = ()
    decimal: str = "."
    missing: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
