"""What a source returns: columns whose dtypes are not known yet.

Made by :mod:`modelane_training.sources`; :func:`~modelane_training.dataset.build_table.build_table` makes a
table of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from modelane_training.dataset.row_locations import BY_INDEX, RowLocations

#: The default limits of a source: bytes of an unpacked file, and values (rows times columns) of a query.
#: Training makes a few copies of the data, and a machine that runs out of memory reports no useful error.
MAX_BYTES = 4 * 2**30
MAX_CELLS = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """The columns of a source as they were read, the target included.

    Attributes:
        name: where the data is from, for people: a path, or a database without its password.
        frame: (n, d); column names may be of any type and need not be unique.
        places: where each row is in the source, for errors.
        untyped: True if every value is a string because the format has no types, as in CSV.  Strings that are
            all numbers then become numbers.
        text: columns that are read as strings even if they look like numbers or dates.
        decimal: the decimal mark of numbers in strings, ``"."`` or ``","``.
        missing: strings that stand for a missing value.
        notes: what the reader of the data should know, a sentence each.
    """

    name: str
    frame: pd.DataFrame
    places: RowLocations = BY_INDEX
    untyped: bool = False
    text: tuple[str, ...] = ()
    decimal: str = "."
    missing: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
