"""The read-only door on a PostgreSQL catalog: the same answers, and no way to the connection string."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from lakebed.cli.data import collect
from lakebed.cli.doctor import catalog, extensions
from lakebed.cli.status import tables
from tests.lakes import at, points_unit
from warehouse.errors import LakebedError, LakeError, QueryError
from warehouse.lake.lake import Lake
from warehouse.lake.query import open_read_only, query
from warehouse.settings import Settings, parse

KICK = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
pytestmark = pytest.mark.server


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path) -> Settings:
    """A lake with one sample, its catalog in PostgreSQL."""
    config = {"lake": {"catalog": f"postgres:{postgres_dsn}", "memory_limit": "512MiB", "threads": 2}}
    found = parse(config, tmp_path / "lakebed.toml")
    with Lake.open(found) as lake:
        lake.land(points_unit("b1", [(1, at("2026-03-01 01:00"), 1.5)]))
    return found


@pytest.fixture
def connection(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The door, open."""
    opened = open_read_only(settings)
    yield opened
    opened.close()


def secret_of(dsn: str) -> str:
    """The password in `key=value` words."""
    return next(word.removeprefix("password=").strip("'") for word in dsn.split() if word.startswith("password="))


def test_queries_answer_and_the_dsn_stays_hidden(settings: Settings, connection: duckdb.DuckDBPyConnection, postgres_dsn: str) -> None:
    assert query(settings, "SELECT sum(value) AS v FROM raw.metric_points", connection=connection).to_pydict() == {"v": [1.5]}
    secret = secret_of(postgres_dsn)
    tries = [
        "FROM duckdb_databases()",
        "FROM duckdb_databases",
        "FROM duckdb_secrets()",
        "FROM postgres_query('__ducklake_metadata_lake', 'SELECT 1')",
        "FROM postgres_attach('')",
        "FROM pg_catalog.pg_settings",
        "FROM __ducklake_metadata_lake.ducklake_metadata",
        "CALL postgres_execute('__ducklake_metadata_lake', 'DROP TABLE x')",
        "SELECT current_setting('pg_connection_limit')",
    ]
    for sql in tries:
        with pytest.raises(QueryError) as refused:
            query(settings, sql, connection=connection)
        assert secret not in str(refused.value)
    for sql in (
        "SHOW DATABASES",
        "EXPLAIN ANALYZE SELECT * FROM raw.metric_points",
        "FROM information_schema.schemata",
        "DESCRIBE raw.logs",
    ):
        try:
            shown = str(query(settings, sql, connection=connection).to_pylist())
        except QueryError as error:
            shown = str(error)
        assert secret not in shown


def test_a_catalog_that_went_away_is_an_error_without_the_password(
    settings: Settings, connection: duckdb.DuckDBPyConnection, postgres_dsn: str
) -> None:
    import psycopg

    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        admin.execute("ALTER SCHEMA public RENAME TO elsewhere")
    try:
        with pytest.raises(LakebedError) as failed:
            query(settings, "SELECT count(*) FROM raw.metric_points", connection=connection)
    finally:
        with psycopg.connect(postgres_dsn, autocommit=True) as admin:
            admin.execute("ALTER SCHEMA elsewhere RENAME TO public")
    assert secret_of(postgres_dsn) not in str(failed.value)


def test_tables_status_and_doctor_read_this_catalog_too(settings: Settings) -> None:
    with Lake.open(settings, read_only=True) as lake:
        points = next(row for row in tables(lake) if row["table"] == "raw.metric_points")
        facts = collect(lake, datetime(2026, 3, 4))
    assert (points["rows"], points["files"], points["newest"]) == (1, 1, date(2026, 3, 1))
    assert facts["days"]["raw.metric_points"] == {"unchecked": 1}
    assert [f.level for f in catalog(settings)] == ["ok"]
    assert [f.level for f in extensions(settings)] == ["ok", "ok"]


def test_a_server_that_is_not_there_is_an_error_without_the_password(tmp_path: Path) -> None:
    dsn = "host=127.0.0.1 port=1 dbname=lake user=ada password=hunter2secret"
    settings = parse({"lake": {"catalog": f"postgres:{dsn}"}}, tmp_path / "lakebed.toml")
    with pytest.raises(LakeError) as failed:
        query(settings, "SELECT 1")
    assert "hunter2secret" not in str(failed.value)
