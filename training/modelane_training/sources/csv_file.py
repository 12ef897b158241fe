"""CSV files, as a source."""

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
from modelane_training.dataset.row_locations import RowLocations
from modelane_training.sources.file_errors import file_errors, too_large
from modelane_training.sources.source import Reader

#: Strings that are missing values in every CSV file; pandas takes the same ones.
MISSING = frozenset(
    {"", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)

_DELIMITERS = ",;\t|"

#: Bytes from which the header is read.
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
    """Read a CSV file with a header.

    A column holds numbers, dates (ISO 8601), ``true`` and ``false``, or strings; a column in which only a few
    values do not fit is refused, with the rows. A column without a name is left out.

    Args:
        path: the file, compressed (``.gz``, ``.bz2``, ``.zst``) or not; a relative path starts at the current
            directory of the program that trains. ``Path(__file__).with_name("churn.csv")`` is next to the
            recipe.
        delimiter: the character between two values; default: the one of comma, semicolon, tab and bar that
            is most frequent in the header.
        decimal: the decimal mark of numbers: ``"."``, the default, or ``","`` for numbers such as 3,5.
        encoding: the encoding of the text, as Python names it; default: ``"utf-8"``.
        missing: strings that stand for a missing value, such as ``("?", "-")``, besides the empty string,
            ``NA``, ``N/A``, ``NULL``, ``None`` and ``NaN``; default: none.
        text: columns that are read as strings although they look like numbers or dates, such as
            ``("zip",)``; default: none.
        max_bytes: the largest size of the unpacked data, in bytes; default: 4 GiB.

    Returns:
        A source. It raises ``BadData`` if the file is missing, empty, too large or not in ``encoding``, or if
        a row has more or fewer values than the header.

    Example:
        >>> source = csv("churn.csv", decimal=",", missing=("?",), text=("zip",))
    """

    def read() -> Raw:
        try:
            with file_errors(path):
                names, frame = _read(path, delimiter, encoding, max_bytes)
        except (UnicodeDecodeError, LookupError) as exc:
            raise BadData(
                f"{path} is not text in {encoding}: pass the encoding of the file, such as "
                "csv(..., encoding='cp1252')"
            ) from exc
        return Raw(
            name=str(path),
            frame=frame,
            places=RowLocations(((str(path), 0),), first=2),
            untyped=True,
            text=text,
            decimal=decimal,
            missing=MISSING.union(missing),
            notes=_unnamed_columns(names, str(path)),
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
        invalid.append(
            f"{path} row {row.number} has {row.actual_columns} values: expected {row.expected_columns}, "
            "as in the header"
        )
        return "error"

    keys = [f"c{number}" for number in range(len(names))]  # column names may be repeated
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
        raise BadData(f"{path} cannot be read as CSV: {exc}") from exc
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
        raise BadData(f"{path} is empty, or its first line is: expected a header with the column names")
    delimiter = delimiter or max(_DELIMITERS, key=line.count)
    names = next(csv_format.reader([line], delimiter=delimiter))
    return [name.strip() for name in names], delimiter


def _bounded(batches: Iterator[Any], path: str | Path, max_bytes: int) -> Iterator[Any]:
    total = 0
    for batch in batches:
        total += batch.nbytes
        if total > max_bytes:
            raise too_large(str(path), max_bytes)
        yield batch


def _unnamed_columns(names: list[str], path: str) -> tuple[str, ...]:
    numbers = [str(number) for number, name in enumerate(names, start=1) if not name]
    if not numbers:
        return ()
    return (f"{path}: column {', '.join(numbers)} has no name and is left out; it may be a saved index",)
