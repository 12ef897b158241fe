"""Which format a file has, by its name."""

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
    """Raises :class:`BulkError`: its ending is that of another format."""
    try:
        return _ENDINGS[path.suffix.lower()]
    except KeyError:
        raise BulkError(f"{path}: expected a name that ends in {', '.join(_ENDINGS)}") from None
