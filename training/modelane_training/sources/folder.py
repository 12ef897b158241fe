"""A folder of files of the same format, as one source; and the format that a file's name stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import joined_locations
from modelane_training.sources.csv_file import csv
from modelane_training.sources.file_errors import file_errors, too_large
from modelane_training.sources.json_lines_file import json_lines
from modelane_training.sources.parquet_file import parquet
from modelane_training.sources.source import Reader

_READERS: dict[str, Callable[..., Reader]] = {
    ".csv": csv,
    ".tsv": csv,
    ".parquet": parquet,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
}
_COMPRESSED = {".gz", ".bz2", ".zst"}


def reader_of(path: Path) -> Callable[..., Reader] | None:
    """Return the source that reads files with this suffix, such as ``csv``; None if there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _READERS.get(suffixes[-1]) if suffixes else None


def folder(path: str | Path, *, max_bytes: int = MAX_BYTES, **options: Any) -> Reader:
    """Read all CSV, Parquet or JSON Lines files of a folder as one table, in the order of their names.

    All files have the same format and the same columns. Files with other suffixes, subfolders, and files
    whose names start with a dot or an underscore are ignored.

    Args:
        path: the folder; a relative path starts at the current directory of the program that trains.
        max_bytes: the largest size, in bytes, of all files as they are and of each file unpacked; default:
            4 GiB.
        **options: passed on to the format's own source, such as ``decimal=","`` for :func:`csv`.

    Returns:
        A source. It raises ``BadData`` if the folder has no such files, or files of several formats or with
        different columns.

    Example:
        >>> source = folder("exports", decimal=",")
    """

    def read() -> Raw:
        files = _files(Path(path))
        if sum(file.stat().st_size for file in files) > max_bytes:
            raise too_large(f"the folder {path}", max_bytes)
        parts = [_reader(file)(file, max_bytes=max_bytes, **options)() for file in files]
        first = parts[0]
        frames = [first.frame, *(_same_columns(part, first) for part in parts[1:])]
        return replace(
            first,
            name=f"{path} ({len(parts)} files)",
            frame=pd.concat(frames, ignore_index=True),
            places=joined_locations(((part.name, len(part.frame)) for part in parts), first.places),
            notes=tuple(note for part in parts for note in part.notes),
        )

    return read


def _files(path: Path) -> list[Path]:
    with file_errors(path):
        files = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    examples = {reader_of(file): file.name for file in files}
    examples.pop(None, None)
    if not examples:
        raise BadData(
            f"the folder {path} has no data files: expected names that end in {', '.join(_READERS)}"
        )
    if len(examples) > 1:
        raise BadData(
            f"the folder {path} has files of several formats, such as "
            f"{', '.join(sorted(examples.values()))}: expected one format; "
            "move the others to another folder"
        )
    return [file for file in files if reader_of(file)]


def _reader(file: Path) -> Callable[..., Reader]:
    reader = reader_of(file)
    assert reader is not None
    return reader


def _same_columns(part: Raw, first: Raw) -> pd.DataFrame:
    here, there = list(part.frame.columns), list(first.frame.columns)
    if here == there:
        return part.frame
    lacking = [name for name in there if name not in here]
    extra = [name for name in here if name not in there]
    if lacking or extra or len(set(here)) != len(here):
        differences = [f"no column {name!r}" for name in lacking]
        differences += [f"an additional column {name!r}" for name in extra]
        raise BadData(
            f"{part.name} has {', '.join(differences) or 'several columns with the same name'}: "
            f"expected the columns of {first.name}, as in all files of the folder"
        )
    return part.frame[there]
