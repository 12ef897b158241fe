"""CSV files."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_BYTES, Raw
from modelane_training.dataset.row_locations import Places
from modelane_training.sources.source import Reader

#: What stands for no value unless a recipe says otherwise; the words that pandas takes so, too.
MISSING = frozenset(
    {"", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)

_DELIMITERS = ",;\t|"
_HEADER_BYTES = 2**20


def csv(  # noqa: PLR0913  # what CSV files differ in
    path: str | Path,
    *,
    delimiter: str | None = None,
    decimal: str = ".",
    encoding: str = "utf-8",
    missing: tuple[str, ...] = (),
    text: tuple[str, ...] = (),
    max_bytes: int = MAX_BYTES,
) -> Reader:
    """A CSV file with a header.  Columns are numbers, dates (ISO 8601), true/false or text.

    Args:
        path: seen from where the program runs; ``Path(__file__).with_name("data.csv")`` in a recipe
            is beside it.  May be packed (``.gz``, ``.bz2``, ``.zst``).
        delimiter: None: that of the header, one of comma, semicolon, tab, bar.
        decimal: ``","`` for numbers such as 3,5.
        missing: what stands for no value, beside nothing, ``NA``, ``NULL`` and the like.
        text: columns that are text though they look like numbers.
        max_bytes: a larger file, once unpacked, is refused.
    """

    def read() -> Raw:
        try:
            names, frame = _read(path, delimiter, encoding, max_bytes)
        except FileNotFoundError as exc:
            raise BadData(f"{path} cannot be read: No such file or directory") from exc
        except OSError as exc:
            raise BadData(f"{path} cannot be read: {exc.strerror or exc}") from exc
        except (UnicodeDecodeError, LookupError) as exc:
            raise BadData(f"{path} is not text in {encoding}: csv(..., encoding=...) names another") from exc
        return Raw(
            name=str(path),
            frame=frame,
            places=Places(((str(path), 0),), first=2),
            untyped=True,
            text=text,
            decimal=decimal,
            missing=MISSING.union(missing),
            notes=_unnamed(names, str(path)),
        )

    return read


def _read(
    path: str | Path, delimiter: str | None, encoding: str, max_bytes: int
) -> tuple[list[str], pd.DataFrame]:
    with _opened(path) as file:
        head = file.read(_HEADER_BYTES)
    names, delimiter = _header(head, path, delimiter, encoding)
    keep = [number for number, name in enumerate(names) if name]
    invalid: list[str] = []

    def wrong_width(row: Any) -> str:
        invalid.append(f"{path} row {row.number} has {row.actual_columns} values, not {row.expected_columns}")
        return "error"

    keys = [f"c{number}" for number in range(len(names))]  # names may be alike, or anything
    try:
        with _opened(path) as file:
            reader = arrow_csv.open_csv(
                file,
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, column_names=keys, skip_rows=1, encoding=encoding
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, invalid_row_handler=wrong_width
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(keys, pa.large_string()), strings_can_be_null=False
                ),
            )
            batches = list(_bounded(reader, path, max_bytes))
    except pa.ArrowInvalid as exc:
        if invalid:
            raise BadData(invalid[0]) from exc
        if "UTF8" in str(exc):
            raise UnicodeDecodeError(encoding, b"", 0, 1, "invalid") from exc
        raise BadData(f"{path} cannot be read: {exc}") from exc
    schema = pa.schema([(key, pa.large_string()) for key in keys])
    table = pa.Table.from_batches(batches, schema).select([keys[number] for number in keep])
    columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
    frame = pd.DataFrame({number: pd.Series(c, dtype=object) for number, c in enumerate(columns)})
    frame.columns = pd.Index([names[number] for number in keep], dtype=object)
    return names, frame


def _opened(path: str | Path) -> IO[bytes]:
    opened: IO[bytes] = pa.input_stream(str(path), compression="detect")
    return opened


def _header(head: bytes, path: str | Path, delimiter: str | None, encoding: str) -> tuple[list[str], str]:
    decoded = io.TextIOWrapper(io.BytesIO(head), "utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    line = decoded.readline()
    if not line.strip():
        raise BadData(f"{path} cannot be read: it is empty, or its first line is")
    delimiter = delimiter or max(_DELIMITERS, key=line.count)
    names = next(csv_format.reader([line], delimiter=delimiter))
    return [name.strip() for name in names], delimiter


def _bounded(batches: Iterator[Any], path: str | Path, max_bytes: int) -> Iterator[Any]:
    total = 0
    for batch in batches:
        total += batch.nbytes
        if total > max_bytes:
            raise BadData(
                f"{path} holds more than {max_bytes:,} bytes: train on a part of it, or on a query's rows "
                "(sources.sql); csv(..., max_bytes=...) allows more"
            )
        yield batch


def _unnamed(names: list[str], path: str) -> tuple[str, ...]:
    numbers = [str(number) for number, name in enumerate(names, start=1) if not name]
    if not numbers:
        return ()
    return (f"{path}: column {', '.join(numbers)} has no name (an index that was saved along?): left out",)
