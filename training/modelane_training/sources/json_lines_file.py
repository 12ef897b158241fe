"""JSON Lines files, as a source: one JSON object per line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pandas as pd
import pyarrow as pa

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import RowLocations
from modelane_training.sources.file_errors import file_errors, too_large
from modelane_training.sources.source import Reader

#: Bytes that are read from a file in one call.
_CHUNK = 2**20


def json_lines(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Reader:
    """Read a file with one JSON object per line; a key that a line does not have is a missing value.

    Args:
        path: the file, compressed (``.gz``, ``.bz2``, ``.zst``) or not; a relative path starts at the current
            directory of the program that trains.
        max_bytes: the largest size of the unpacked file, in bytes; default: 4 GiB.

    Returns:
        A source. It raises ``BadData`` if the file is missing, empty or too large, or if a line is not a
        JSON object.

    Example:
        >>> source = json_lines("churn.jsonl.gz")
    """

    def read() -> Raw:
        with file_errors(path), pa.input_stream(str(path), compression="detect") as file:
            records = list(_records(file, path, max_bytes))
        if not records:
            raise BadData(f"{path} is empty: expected one JSON object per line")
        return Raw(
            name=str(path),
            frame=frame_of(records),
            places=RowLocations(((str(path), 0),), first=1, unit="line"),
            missing=frozenset({""}),
        )

    return read


def frame_of(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a frame with a column of objects for every key; None where a record does not have the key."""
    names = dict.fromkeys(name for record in records for name in record)
    columns = {n: pd.Series([r.get(name) for r in records], dtype=object) for n, name in enumerate(names)}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(records)))
    frame.columns = pd.Index(list(names), dtype=object)
    return frame


def _records(file: IO[bytes], path: str | Path, max_bytes: int) -> Iterator[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    total = 0
    for number, line in enumerate(_lines(file), start=1):
        total += len(line)
        if total > max_bytes:
            raise too_large(str(path), max_bytes)
        if not line.strip():
            raise BadData(f"{path} line {number} is empty: expected a JSON object; remove the line")
        try:
            yield decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            is_array = number == 1 and line.lstrip()[:1] == b"["
            hint = "; JSON Lines has one object per line, and no array around them" if is_array else ""
            raise BadData(f"{path} line {number} is not a JSON object: {_reason(exc)}{hint}") from exc


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _reason(exc: Exception) -> str:
    # msgspec names the place and what was expected, and never shows the value.
    return str(exc) if isinstance(exc, msgspec.MsgspecError) else "it is not UTF-8"
