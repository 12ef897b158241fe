"""The rows of a query, from any database that SQLAlchemy reaches."""

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
from modelane_training.dataset.row_locations import Places
from modelane_training.sources.source import Reader

_ROWS_AT_ONCE = 10_000

#: How a query begins, behind comments and brackets, that reads, or whose changes can be rolled back: SQLite
#: carries out a DROP for good.
_BEGINS = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:select|with|values|table|from|show|delete|insert|update|merge)\b",
    re.IGNORECASE | re.DOTALL,
)


def sql(url: str, query: str, *, max_cells: int = MAX_CELLS) -> Reader:
    """What a query gives; its names are the columns.

    Give it an ``ORDER BY`` if anything depends on the order of the rows.  Whatever the query changes
    is rolled back.

    Args:
        url: SQLAlchemy's, such as ``postgresql+psycopg://user:password@host/database`` or
            ``sqlite:///churn.db``.  Keep a password out of the recipe: ``os.environ["DATABASE_URL"]``.
        query: in the database's own words, without parameters.
        max_cells: rows times columns beyond this are refused.
    """

    def read() -> Raw:
        where = _parsed(url)
        name = _shown(where)
        if not _BEGINS.match(query):
            raise BadData(f"the query on {name} gives no rows: expected a SELECT")
        with _refusals(where, name):
            engine = sa.create_engine(where, poolclass=sa.pool.NullPool)
            with engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
                result = streaming.execute(_verbatim(query))
                if not result.returns_rows:
                    raise BadData(f"the query on {name} gives no rows: expected a SELECT")
                frame = _frame(result, max_cells)
        return Raw(
            name=f"a query on {name}",
            frame=frame,
            places=Places((("the query's", 0),), first=1),
            missing=frozenset({""}),
        )

    return read


def anywhere(url: str) -> str:
    """The same, but that of a file also from another folder."""
    parsed = _parsed(url)
    path = parsed.database
    if parsed.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return parsed.set(database=str(Path(path).absolute())).render_as_string(hide_password=False)


def has_password(url: str) -> bool:
    """Whether a URL holds a secret that does not belong into a recipe."""
    parsed = _parsed(url)
    return parsed.password is not None or any("pass" in key.lower() for key in parsed.query)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their words may hold the password
        raise BadData(
            "the URL of the database cannot be read: one looks like postgresql+psycopg://user@host/database"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = str(parsed.database)
        if not path.startswith("file:") and not Path(path).is_file():  # SQLite would make an empty one
            raise BadData(f"{path} cannot be read: No such file or directory")
    return parsed


def _shown(url: URL) -> str:
    """The place alone: no user, no password, no options."""
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def _verbatim(query: str) -> sa.TextClause:
    """The query as it is: a percent sign is none of the driver's, ``:word`` no parameter."""
    return sa.text(re.sub(r"(?<![:\w\\]):(?=\w)", r"\:", query))


@contextmanager
def _refusals(url: URL, name: str) -> Iterator[None]:
    try:
        yield
    except NoSuchModuleError:
        raise BadData(f"{name}: SQLAlchemy knows no database {url.drivername!r}") from None
    except ModuleNotFoundError as exc:
        raise BadData(f"{name} needs a driver that is not installed: {exc.name}") from None
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or exc).strip()
        # Without the cause: a traceback would show the driver's words as they were.
        raise BadData(f"the query on {name} failed: {_without_secrets(reason, url)}") from None


def _without_secrets(words: str, url: URL) -> str:
    values = [url.password, *(value for value in url.query.values() if isinstance(value, str))]
    for secret in filter(None, map(str, values)):
        words = words.replace(secret, "***")
    return " ".join(words.split())[:500]


def _frame(result: sa.CursorResult[Any], max_cells: int) -> pd.DataFrame:
    names = list(result.keys())
    columns: list[list[Any]] = [[] for _ in names]
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
        if len(columns[0]) * len(names) > max_cells:
            raise BadData(
                f"the query gives more than {max_cells:,} values: give it a LIMIT, or select fewer columns"
            )
    frame = pd.DataFrame({number: pd.Series(values, dtype=object) for number, values in enumerate(columns)})
    frame.columns = pd.Index(names, dtype=object)
    return frame
