"""A folder of files of one kind, read as one table; and the kind of a single file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import joined
from modelane_training.sources.csv_file import csv
from modelane_training.sources.json_lines_file import json_lines
from modelane_training.sources.parquet_file import parquet
from modelane_training.sources.source import Reader

_KINDS: dict[str, Callable[..., Reader]] = {
    ".csv": csv,
    ".tsv": csv,
    ".parquet": parquet,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
}
_PACKED = {".gz", ".bz2", ".zst"}


def kind_of(path: Path) -> Callable[..., Reader] | None:
    """The function that reads a file of this name; None if no kind has it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _KINDS.get(suffixes[-1]) if suffixes else None


def folder(path: str | Path, *, max_bytes: int = MAX_BYTES, **options: Any) -> Reader:
    """All CSV, Parquet or JSON Lines files of a folder, by name, one below the other.

    They are of one kind and have the same columns.  Other files, those of subfolders, and those whose
    name begins with a dot or an underscore are passed over.

    Args:
        path: seen from where the program runs.
        max_bytes: larger files are refused, each and together.
        options: what :func:`csv` takes besides.
    """

    def read() -> Raw:
        files = _files(Path(path))
        if sum(file.stat().st_size for file in files) > max_bytes:
            raise BadData(f"the files in {path} hold more than {max_bytes:,} bytes: train on a part of them")
        parts = [_reader(file)(file, max_bytes=max_bytes, **options)() for file in files]
        first = parts[0]
        frames = [first.frame, *(_same_columns(part, first) for part in parts[1:])]
        return replace(
            first,
            name=f"{path} ({len(parts)} files)",
            frame=pd.concat(frames, ignore_index=True),
            places=joined(((part.name, len(part.frame)) for part in parts), first.places),
            notes=tuple(note for part in parts for note in part.notes),
        )

    return read


def _files(path: Path) -> list[Path]:
    try:
        files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    except OSError as exc:
        raise BadData(f"{path} cannot be read: {exc.strerror}") from exc
    kinds = {kind_of(file): file.name for file in files}
    kinds.pop(None, None)
    if not kinds:
        raise BadData(f"{path} has no file whose name ends in {', '.join(_KINDS)}")
    if len(kinds) > 1:
        raise BadData(f"{path} has files of several kinds: {', '.join(sorted(kinds.values()))}")
    return [file for file in files if kind_of(file)]


def _reader(file: Path) -> Callable[..., Reader]:
    reader = kind_of(file)
    assert reader is not None
    return reader


def _same_columns(part: Raw, first: Raw) -> pd.DataFrame:
    here, there = list(part.frame.columns), list(first.frame.columns)
    if here == there:
        return part.frame
    more = [f"no column {name!r}" for name in there if name not in here]
    more += [f"a column {name!r} more" for name in here if name not in there]
    if more or len(set(here)) != len(here):
        differing = ", ".join(more) or "columns of the same name"
        raise BadData(f"{part.name} has {differing}; the files of a folder have the columns of {first.name}")
    return part.frame[there]
