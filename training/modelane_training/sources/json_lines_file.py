"""JSON Lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pandas as pd
import pyarrow as pa

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import Places
from modelane_training.sources.source import Reader


def json_lines(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Reader:
    """A file of one JSON object a line; a key that a line does not have is a missing value.

    Args:
        path: seen from where the program runs.  May be packed (``.gz``, ``.bz2``, ``.zst``).
        max_bytes: a larger file, once unpacked, is refused.
    """

    def read() -> Raw:
        try:
            with pa.input_stream(str(path), compression="detect") as file:
                records = list(_records(file, path, max_bytes))
        except FileNotFoundError as exc:
            raise BadData(f"{path} cannot be read: No such file or directory") from exc
        except OSError as exc:
            raise BadData(f"{path} cannot be read: {exc.strerror or exc}") from exc
        if not records:
            raise BadData(f"{path} cannot be read: it is empty")
        return Raw(
            name=str(path),
            frame=columns_of(records),
            places=Places(((str(path), 0),), first=1, unit="line"),
            missing=frozenset({""}),
        )

    return read


def columns_of(records: list[dict[str, Any]]) -> pd.DataFrame:
    """A column of objects for every key that a record has; None where one does not have it."""
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
            raise BadData(f"{path} holds more than {max_bytes:,} bytes: train on a part of it")
        if not line.strip():
            raise BadData(f"{path} line {number} is empty")
        try:
            yield decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            hint = "; a JSON array is no JSON Lines" if number == 1 and line.lstrip()[:1] == b"[" else ""
            raise BadData(f"{path} line {number} is not a JSON object: {_reason(exc)}{hint}") from exc


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(2**20):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _reason(exc: Exception) -> str:
    # msgspec says where and what was expected, never the value.
    return str(exc) if isinstance(exc, msgspec.MsgspecError) else "it is not UTF-8"
