"""Rows of a query, from a SQLite file and a PostgreSQL server; passwords are never shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest
import sqlalchemy as sa

from modelane.errors import BadData
from modelane_training.recipe import Recipe
from modelane_training.sources import sql
from support import postgres
from support.services import is_missing

QUERY = "SELECT age, plan, since, owes, left_us FROM customers ORDER BY id"

TABLE = """
CREATE TABLE customers (id integer, age integer, plan varchar(20), since date, owes numeric(10, 2), left_us {boolean})
"""  # noqa: E501


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    if postgres.programs() is None:
        is_missing("no PostgreSQL: /usr/lib/postgresql comes with Debian's postgresql")
    with postgres.running_postgres() as url:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(TABLE.format(boolean="boolean"))
            connection.execute(
                sa.text(
                    "INSERT INTO customers SELECT i, 20 + i % 50, "
                    "CASE i % 3 WHEN 0 THEN 'team' ELSE 'solo' END, "
                    "date '2024-01-01' + i, i + 0.25, i % 2 = 0 FROM generate_series(1, 25000) i"
                )
            )
            connection.exec_driver_sql("INSERT INTO customers (id) VALUES (25001)")
        yield url


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    with sqlite3.connect(tmp_path / "churn.db") as connection:
        connection.execute(TABLE.format(boolean="text"))
        rows = [
            (i, 20 + i, "team" if i % 3 else "solo", f"2024-01-{i:02}", i / 4, "no") for i in range(1, 29)
        ]
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO customers (id) VALUES (29)")
    connection.close()
    return f"sqlite:///{tmp_path}/churn.db"


def collect(url: str, query: str = QUERY, target: str = "left_us", **options):
    return Recipe(model="churn", source=sql(url, query, **options), target=target).collect()


@pytest.mark.full
def test_a_query_on_postgresql_gives_columns_of_every_type(postgres_url):
    table = collect(postgres_url)

    assert [(feature.name, feature.dtype) for feature in table.features] == [
        ("age", "float64"),
        ("plan", "str"),
        ("since", "datetime64[us]"),
        ("owes", "float64"),
    ]
    assert len(table) == 25_001
    assert table.rows.iloc[0].tolist()[:2] == [21.0, "solo"]
    assert table.rows["since"][0] == np.datetime64("2024-01-02")
    assert table.rows["owes"][1] == 2.25
    assert table.rows.iloc[-1].isna().all()
    assert np.isnan(table.targets[-1])
    assert table.targets[:3].tolist() == [0, 1, 0]


def test_a_query_on_sqlite_gives_columns_of_every_type(sqlite_url):
    table = collect(sqlite_url)

    assert [feature.dtype for feature in table.features] == ["float64", "str", "datetime64[us]", "float64"]
    assert len(table) == 29
    assert table.where([3]) == "the query's row 4"


@pytest.mark.full
def test_neither_the_card_nor_an_error_contains_a_password(postgres_url):
    # Given a valid query, an invalid query, and a wrong password
    wrong_table = "SELECT * FROM nobody_has_this"
    wrong_password = postgres_url.replace(":s3cret", ":0ther")
    says = [collect(postgres_url).source]
    wrong_option = f"{postgres_url}?x=s3cret"
    for url, query in [(postgres_url, wrong_table), (wrong_password, QUERY), (wrong_option, QUERY)]:
        with pytest.raises(BadData) as caught:
            collect(url, query)
        says.append(str(caught.value))
        assert caught.value.__cause__ is None

    # Then the location is named, and no secret is shown
    assert all("127.0.0.1" in words and "/postgres" in words for words in says)
    assert not any(secret in words for words in says for secret in ("s3cret", "0ther", "modelane:"))
    assert "nobody_has_this" in says[1]
    assert "password authentication failed" in says[2]


def test_changes_of_a_query_are_rolled_back(sqlite_url):
    assert len(collect(sqlite_url, "DELETE FROM customers WHERE id < 20 RETURNING *")) == 19

    assert len(collect(sqlite_url)) == 29


@pytest.mark.full
@pytest.mark.parametrize("query", ["SELECT '10:30:00' AS a, 'x%y :z' AS b, 1::int AS left_us"])
def test_a_query_is_sent_to_the_database_unchanged(postgres_url, query):
    assert collect(postgres_url, query).rows["b"].tolist() == ["x%y :z"]


@pytest.mark.full
def test_a_query_beyond_the_limit_is_refused_while_it_is_read(postgres_url):
    with pytest.raises(BadData, match=r"more than max_cells=100,000 values: add a LIMIT"):
        collect(postgres_url, max_cells=100_000)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql+psycopg://u:s3cret@127.0.0.1:1/db",
            r"postgresql\+psycopg://127.0.0.1:1/db failed: .*refused",
        ),
        ("klingon://u:s3cret@host/db", "SQLAlchemy has no driver 'klingon'"),
        ("mysql+pymysql://u:s3cret@host/db", "needs the Python package 'pymysql', which is not installed"),
        ("s3cret", "the URL of the database cannot be read"),
        ("postgresql://u:s3cret@host:port/db", "the URL of the database cannot be read"),
        ("sqlite:////no/such/churn.db", "/no/such/churn.db does not exist"),
    ],
)
def test_an_unreachable_database_gives_a_readable_error(url, sentence):
    with pytest.raises(BadData, match=sentence) as caught:
        collect(url)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT age FROM customers", "has no column 'left_us': its columns are age"),
        ("SELECT age, age, left_us FROM customers", "several columns with the same name: age"),
        ("SELEKT", "expected a SELECT"),
        ("SELECT SELEKT,", "failed: .*syntax error|failed: incomplete input"),
        ("CREATE TABLE other (x int)", "returns no rows: expected a SELECT"),
        ("SELECT x'ff' AS raw, left_us FROM customers WHERE id < 3", "rows 1, 2: column 'raw' has values of"),
        ("SELECT CASE id WHEN 2 THEN 'x' ELSE 1 END AS mixed, left_us FROM customers WHERE id < 4",
         "the query's row 2: column 'mixed' has strings among numbers"),
    ],
)  # fmt: skip
def test_an_invalid_query_is_refused_with_the_reason(sqlite_url, query, sentence):
    with pytest.raises(BadData, match=sentence):
        collect(sqlite_url, query)


@pytest.mark.parametrize(
    "query",
    ["DROP TABLE customers", "-- harmless\nDROP TABLE customers", "/* SELECT */ DELETE FROM customers"],
)
def test_a_query_that_cannot_be_rolled_back_is_not_executed(sqlite_url, query):
    with pytest.raises(BadData, match="expected a SELECT"):
        collect(sqlite_url, query)

    assert len(collect(sqlite_url, "/* all */ SELECT age, left_us FROM customers"))
