"""The rows of a query, from any database that SQLAlchemy supports, as a source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from modelane.errors import BadData
from modelane_training.dataset.raw import MAX_CELLS, Raw
from modelane_training.dataset.row_locations import RowLocations
from modelane_training.sources.source import Reader

#: Rows that are fetched in one round trip.
_ROWS_PER_FETCH = 10_000

#: Characters of the database's own message that an error shows.
_MAX_REASON = 500

#: The first words, after comments and brackets, of statements that read, or whose changes can be rolled back.
#: Others are refused before they run: SQLite does not roll back a DROP.
_ALLOWED = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:select|with|values|table|from|show|delete|insert|update|merge)\b",
    re.IGNORECASE | re.DOTALL,
)


def sql(url: str, query: str, *, max_cells: int = MAX_CELLS) -> Reader:
    """Read the rows of a query; the names of its columns are the names of the table's columns.

    Add an ``ORDER BY`` if anything depends on the order of the rows. What the query changes in the database
    is rolled back.

    Args:
        url: the database, as a SQLAlchemy URL such as ``postgresql+psycopg://user:password@host/database`` or
            ``sqlite:///churn.db``. Keep a password out of the recipe: ``os.environ["DATABASE_URL"]``.
        query: a statement in the database's own SQL, without parameters.
        max_cells: the largest number of values, rows times columns; default: 500 million.

    Returns:
        A source. It raises ``BadData`` if the database cannot be reached, if the query fails or returns no
        rows, or if it returns too many values. No error shows the password.

    Example:
        >>> source = sql("sqlite:///churn.db", "SELECT age, plan, churned FROM customers")
    """

    def read() -> Raw:
        database = _parsed(url)
        name = _without_password(database)
        if not _ALLOWED.match(query):
            raise _no_rows(name)
        with _database_errors(database, name):
            engine = sa.create_engine(database, poolclass=sa.pool.NullPool)
            with engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_PER_FETCH)
                result = streaming.execute(_verbatim(query))
                if not result.returns_rows:
                    raise _no_rows(name)
                frame = _frame(result, max_cells)
        return Raw(
            name=f"a query on {name}",
            frame=frame,
            places=RowLocations((("the query's", 0),), first=1),
            missing=frozenset({""}),
        )

    return read


def with_absolute_path(url: str) -> str:
    """Return the URL, with the absolute path if the database is a file of SQLite's."""
    parsed = _parsed(url)
    path = parsed.database
    if parsed.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return parsed.set(database=str(Path(path).absolute())).render_as_string(hide_password=False)


def has_password(url: str) -> bool:
    """Return whether a URL has a password, which must not be written into a recipe."""
    parsed = _parsed(url)
    return parsed.password is not None or any("pass" in key.lower() for key in parsed.query)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their messages may show the password
        raise BadData(
            "the URL of the database cannot be read: expected one such as "
            "postgresql+psycopg://user@host/database"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = str(parsed.database)
        if not path.startswith("file:") and not Path(path).is_file():  # SQLite would create an empty database
            raise BadData(f"{path} does not exist")
    return parsed


def _without_password(url: URL) -> str:
    """Return driver, host, port and database only: no user, no password, no options."""
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def _no_rows(name: str) -> BadData:
    return BadData(f"the query on {name} returns no rows: expected a SELECT")


def _verbatim(query: str) -> sa.TextClause:
    """Return the query as a statement in which a percent sign and ``:word`` stand for themselves."""
    return sa.text(re.sub(r"(?<![:\w\\]):(?=\w)", r"\:", query))


@contextmanager
def _database_errors(url: URL, name: str) -> Iterator[None]:
    try:
        yield
    except NoSuchModuleError:
        raise BadData(
            f"{name}: SQLAlchemy has no driver {url.drivername!r}: expected one such as postgresql+psycopg, "
            "mysql+pymysql or sqlite; check the spelling, or install the driver's package"
        ) from None
    except ModuleNotFoundError as exc:
        raise BadData(
            f"{name} needs the Python package {exc.name!r}, which is not installed: "
            "install it where training runs"
        ) from None
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or exc).strip()
        # Without the cause: its traceback would show the driver's message with the password.
        raise BadData(f"the query on {name} failed: {_redacted(reason, url)}") from None


def _redacted(message: str, url: URL) -> str:
    secrets = [url.password, *(value for value in url.query.values() if isinstance(value, str))]
    for secret in filter(None, map(str, secrets)):
        message = message.replace(secret, "***")
    return " ".join(message.split())[:_MAX_REASON]


def _frame(result: sa.CursorResult[Any], max_cells: int) -> pd.DataFrame:
    names = list(result.keys())
    columns: list[list[Any]] = [[] for _ in names]
    while rows := result.fetchmany(_ROWS_PER_FETCH):
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
        if len(columns[0]) * len(names) > max_cells:
            raise BadData(
                f"the query returns more than max_cells={max_cells:,} values: "
                "add a LIMIT, select fewer columns, or pass a larger max_cells to sql()"
            )
    frame = pd.DataFrame({number: pd.Series(values, dtype=object) for number, values in enumerate(columns)})
    frame.columns = pd.Index(names, dtype=object)
    return frame
