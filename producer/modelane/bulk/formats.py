"""File formats, by the ending of the file name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from modelane.errors import BulkError

Format = Literal["csv", "parquet", "jsonl"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        BulkError: the name has another ending.
    """
    try:
        return _ENDINGS[path.suffix.lower()]
    except KeyError:
        raise BulkError(f"{path}: unknown format; the name must end in {', '.join(_ENDINGS)}") from None
