"""Big days and catalogs for the fault tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.faults.victim import DAYS
from tests.integration import servers

ROWS = 2_600_000
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def big_days(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[date, int], Path]:
    """For each day two contents, each a CSV file of over 100 MB with incompressible values."""
    folder = tmp_path_factory.mktemp("days")
    files = {}
    with duckdb.connect() as connection:
        for day in DAYS:
            for content in (0, 1):
                path = folder / f"{day}.{content}.csv"
                connection.execute(
                    f"""COPY (SELECT i % 1000 AS series_id, TIMESTAMP '{day}' + to_microseconds((i // 1000) * 33000000) AS time,
                              hash(i * 7 + {content}) / 1.8446744073709552e19 AS value FROM range({ROWS}) AS t(i)) TO '{path}' (HEADER)"""
                )
                assert path.stat().st_size > 100_000_000
                files[day, content] = path
    return files


@pytest.fixture(scope="session")
def postgres_server(program: Callable[[str, str], str]) -> Iterator[str]:
    """A PostgreSQL server of the tests' own."""
    with servers.postgres(program("initdb", "postgresql"), program("postgres", "postgresql")) as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The catalog setting of a fresh lake, of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/lake/catalog.sqlite"
    server: str = request.getfixturevalue("postgres_server")
    name = f"faults_{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return "postgres:" + server.replace("dbname=postgres", f"dbname={name}")
