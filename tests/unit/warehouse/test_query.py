"""The read-only door: what gets through, and what does not."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.lakes import at, points_unit
from warehouse.errors import QueryError
from warehouse.lake.lake import Lake
from warehouse.lake.query import open_read_only, query, stream
from warehouse.lake.statement import ALLOWED, check
from warehouse.settings import Settings, parse

MACRO = "CREATE TEMP MACRO twice(x) AS x * 2"


@pytest.fixture(scope="module")
def door(empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, duckdb.DuckDBPyConnection]]:
    """A lake with two points, and one open connection to ask it through."""
    import shutil

    folder = tmp_path_factory.mktemp("door") / "it's a lake"
    shutil.copytree(empty_lake, folder)
    settings = parse({"lake": {"memory_limit": "256MiB", "threads": 2}}, folder / "lakebed.toml")
    with Lake.open(settings) as lake:
        lake.land(points_unit("b1", [(1, at("2026-03-01 01:00"), 1.5), (2, at("2026-03-01 02:00"), 2.5)]))
    connection = open_read_only(settings, MACRO)
    yield settings, connection
    connection.close()


TABLE_MACRO = "CREATE TEMP MACRO series_window(metric) AS TABLE SELECT count(*) AS n FROM raw.metric_points"


def test_a_table_macro_is_allowed_by_name_and_says_what_it_reads(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    settings, _ = door
    with open_read_only(settings, MACRO, TABLE_MACRO) as connection, stream(connection, "FROM series_window('m')") as result:
        assert next(result.batches).to_pylist() == [{"n": 2}]
        assert set(result.tables) >= {"raw.metric_points", "core.metric_rollup_1h", "meta.day_state"}


def test_a_lake_that_lacks_a_table_of_the_macros_opens_without_them(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    settings, _ = door
    with open_read_only(settings, MACRO, TABLE_MACRO.replace("raw.metric_points", "raw.of_the_next_release")) as connection:
        assert query(settings, "SELECT twice(2) AS x", connection=connection).to_pylist() == [{"x": 4}]
        with pytest.raises(QueryError, match="series_window"):
            query(settings, "FROM series_window('m')", connection=connection)


def ask(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str, **bounds: float) -> list[tuple[object, ...]]:
    settings, connection = door
    table = query(settings, sql, connection=connection, **bounds)  # type: ignore[arg-type]
    return list(zip(*(c.to_pylist() for c in table.columns), strict=True)) if table.num_columns else []


GOOD = {
    "SELECT sum(value) FROM raw.metric_points": [(4.0,)],
    "SELECT count(*) FROM lake.raw.metric_points;": [(2,)],
    "FROM raw.metric_points SELECT max(value) -- DROP TABLE x; COPY": [(2.5,)],
    "/* é; */ WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 FROM a) FROM b": [(2,)],
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT max(n) FROM r": [(3,)],
    "SELECT twice(value) FROM raw.metric_points WHERE series_id = 1": [(3.0,)],
    "SELECT ';DROP TABLE raw.logs;COPY'": [(";DROP TABLE raw.logs;COPY",)],
    "SELECT range FROM range(2) UNION ALL SELECT * FROM generate_series(5, 5) ORDER BY ALL": [(0,), (1,), (5,)],
    "SELECT [x * 2 FOR x IN [1, 2]], pg_typeof(1)": [([2, 4], "integer")],
    "SELECT count(*) FROM (PIVOT raw.metric_points ON series_id IN (1, 2) USING sum(value))": [(2,)],
    "SELECT count(*) > 5 FROM information_schema.tables WHERE table_schema = 'mart'": [(True,)],
    "TABLE raw.logs": [],
    "SELECT sum(HUGE) FROM (SELECT 9223372036854775807::HUGEINT * 2 AS HUGE)": None,
}


@pytest.mark.parametrize("sql", GOOD)
def test_reading_is_possible(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    rows = ask(door, sql)
    assert GOOD[sql] is None or rows == GOOD[sql]


@pytest.mark.parametrize(
    "sql",
    ["EXPLAIN {}", "explain analyze {}", "/* ü */ EXPLAIN ANALYSE\n{}", "EXPLAIN (FORMAT json) {}", "EXPLAIN (ANALYZE) {}"],
)
def test_explain_shows_the_plan(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    ((_key, plan),) = ask(door, sql.format("SELECT sum(value) FROM raw.metric_points"))
    assert "metric_points" in str(plan) or "DUCKLAKE" in str(plan).upper()


def test_describe_and_summarize(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    assert ("value", "DOUBLE") in [row[:2] for row in ask(door, "DESCRIBE raw.metric_points")]
    assert len(ask(door, "SUMMARIZE SELECT value FROM raw.metric_points")) == 1


BAD = [
    "COPY (SELECT 1) TO '{lake}/lake/x.parquet'",
    "COPY raw.metric_points TO '/tmp/lakebed_stolen.csv'",
    "COPY raw.logs FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/lakebed_export'",
    "IMPORT DATABASE '{lake}'",
    "ATTACH ':memory:' AS m",
    "ATTACH '{lake}/lake/catalog.sqlite' AS m (TYPE sqlite)",
    "DETACH lake",
    "INSTALL httpfs",
    "LOAD sqlite_scanner",
    "SET threads = 64",
    "SET VARIABLE x = 1",
    "RESET ALL",
    "PRAGMA version",
    "PRAGMA database_list",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
    "CALL ducklake_expire_snapshots('lake', older_than => now())",
    "CALL lake.set_option('auto_compact', true)",
    "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "INSERT INTO raw.logs SELECT * FROM raw.logs",
    "DELETE FROM store.raw_metric_points",
    "UPDATE meta.runs SET status = 'x'",
    "DROP TABLE store.raw_logs",
    "ALTER TABLE store.raw_logs ADD COLUMN x INT",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE TEMP MACRO twice(x) AS 0",
    "CREATE SECRET s (TYPE s3)",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SHOW TABLES",
    "SELECT * FROM (SHOW DATABASES)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE store.raw_logs",
    "CREATE TABLE t (a INT); SELECT 1",
    "PIVOT raw.metric_points ON series_id USING sum(value)",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/lake/x.parquet'",
    "EXPLAIN ANALYZE DELETE FROM store.raw_metric_points",
    "EXPLAIN (ANALYZE) INSERT INTO raw.logs FROM raw.logs",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "EXPLAIN SELECT 1; DROP TABLE store.raw_logs",
    "EXPLAIN EXPLAIN SELECT 1",
    "; EXPLAIN SELECT 1; SELECT 2",
    "SELECT * FROM (COPY raw.logs TO 'x')",
    "SELECT * FROM (DELETE FROM store.raw_logs RETURNING *)",
    "WITH x AS (INSERT INTO raw.logs FROM raw.logs RETURNING *) FROM x",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM \"READ_Text\"('/etc/passwd')",
    "SELECT * FROM main.read_blob('{lake}/lake/catalog.sqlite')",
    "SELECT * FROM system.main.range(3)",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('{lake}/lake/**/*.parquet')",
    "SELECT * FROM parquet_metadata('{lake}/lake/x.parquet')",
    "SELECT * FROM glob('/*')",
    "SELECT (SELECT count(*) FROM glob('*'))",
    "SELECT 1 WHERE EXISTS (FROM glob('*'))",
    "SELECT 1 ORDER BY (SELECT count(*) FROM glob('*'))",
    "SELECT 1 LIMIT (SELECT count(*) FROM glob('*'))",
    "VALUES ((SELECT count(*) FROM glob('*')))",
    "SELECT 1 UNION SELECT count(*) FROM glob('*')",
    "SELECT [(SELECT count(*) FROM glob('*')) FOR x IN [1]]",
    "SELECT * FROM range((SELECT count(*) FROM glob('*')))",
    "SELECT * FROM query('DROP TABLE store.raw_logs')",
    "SELECT * FROM query_table('duckdb_settings')",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "SELECT * FROM 'file.parquet'",
    "SELECT * FROM '/etc/passwd'",
    'FROM "{lake}/lake/x.parquet"',
    "FROM door",
    "FROM duckdb_databases",
    "FROM duckdb_databases()",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM pragma_database_size()",
    "FROM sqlite_master",
    "FROM pg_catalog.pg_tables",
    "FROM main.duckdb_settings",
    "FROM system.main.duckdb_settings",
    "SELECT * FROM (DESCRIBE duckdb_settings)",
    "SUMMARIZE duckdb_databases",
    "WITH RECURSIVE duckdb_databases AS (FROM duckdb_databases UNION ALL FROM duckdb_databases) FROM duckdb_databases",
    "WITH x AS (FROM x) FROM x",
    "WITH b AS (FROM sqlite_master), a AS (SELECT 1) FROM b",
    "SELECT (WITH a AS (SELECT 1) FROM a), (FROM a)",
    "FROM __ducklake_metadata_lake.ducklake_data_file",
    "FROM __ducklake_metadata_lake.main.ducklake_data_file",
    'FROM "__DUCKLAKE_METADATA_LAKE".ducklake_table',
    "FROM lake.snapshots()",
    "FROM ducklake_snapshots('lake')",
    "FROM ducklake_list_files('lake', 'logs')",
    "FROM store.raw_metric_points",
    "FROM memory.main.x",
    "FROM temp.x",
    "SELECT getenv('HOME')",
    "SELECT \"GETENV\"('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT sleep_ms(10)",
    "SELECT write_log('x')",
    "SELECT read_text('/etc/passwd')",
    "FROM test_all_types()",
    "FROM postgres_query('lake', 'SELECT 1')",
    "FROM sqlite_scan('{lake}/lake/catalog.sqlite', 'ducklake_table')",
    "",
    "   -- nothing",
    "/* ; */",
    ";",
]


@pytest.mark.parametrize("sql", BAD)
def test_nothing_else_gets_through(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    settings, _connection = door
    before = {p: p.stat().st_mtime_ns for p in settings.root.rglob("*.parquet")}
    with pytest.raises(QueryError) as refused:
        ask(door, sql.replace("{lake}", str(settings.root).replace("'", "''")).replace("{{}}", "{}"))
    message = str(refused.value)
    assert any(part in message for part in (ALLOWED, "cannot be parsed", "PIVOT needs", "call the CTE")), message
    assert {p: p.stat().st_mtime_ns for p in settings.root.rglob("*.parquet")} == before
    assert ask(door, "SELECT count(*) FROM raw.metric_points") == [(2,)]


def test_a_refusal_comes_before_running(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    for sql in BAD:
        with pytest.raises(QueryError):
            check(door[1], sql)


@pytest.mark.parametrize(
    "sql", ["SELECT '\ud800'", "SELECT " + "(SELECT " * 500 + "1" + ")" * 500, "SELECT " + "1+" * 5000 + "1", "SELECT 'a\0b"]
)
def test_odd_text_is_an_error_of_the_query(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    with pytest.raises(QueryError):
        ask(door, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000) a, range(100000000) b",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL FROM r) SELECT count(*) FROM r",
    ],
)
def test_an_endless_query_is_stopped(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"stopped after 0\.3 s"):
        ask(door, sql, timeout_s=0.3)
    assert time.monotonic() - started < 10
    assert ask(door, "SELECT 1") == [(1,)]


def test_the_time_runs_until_the_last_row(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    with (
        pytest.raises(QueryError, match="stopped after"),
        stream(door[1], "SELECT range FROM range(1000000000000)", timeout_s=0.3) as result,
    ):
        for _batch in result.batches:
            pass


def test_ctrl_c_stops_a_query(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell starts with SIGINT ignored
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ask(door, "SELECT count(*) FROM range(1000000000000) a, range(100000000) b", timeout_s=30)
    timer.join()
    assert ask(door, "SELECT 1") == [(1,)]


def test_a_memory_bomb_fails_alone(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    with pytest.raises(QueryError, match="more memory than it may use"):
        ask(door, "SELECT length(string_agg(repeat('x', 1000000), '')) FROM range(100000)")
    assert ask(door, "SELECT 1") == [(1,)]


def test_too_many_rows_are_refused(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    with pytest.raises(QueryError, match="more than 1,000 rows"):
        ask(door, "SELECT range FROM range(1001)", max_rows=1000)
    assert len(ask(door, "SELECT range FROM range(1000)", max_rows=1000)) == 1000


@pytest.mark.parametrize("sql", ["SELECT nothere FROM raw.logs", "SELECT * FROM mart.nothere", "SELECT 'x'::INT", "SELECT $a"])
def test_a_failing_query_says_why(door: tuple[Settings, duckdb.DuckDBPyConnection], sql: str) -> None:
    with pytest.raises(QueryError, match=r"the query failed: .+"):
        ask(door, sql)


def test_the_connection_itself_reaches_nothing_outside(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    local_rows = [1]
    for sql in (
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/lakebed_out.csv'",
        "FROM local_rows",
        "SET threads = 9",
    ):
        with pytest.raises(duckdb.Error):
            door[1].execute(sql)
    assert local_rows


def test_the_tables_of_a_query_are_known(door: tuple[Settings, duckdb.DuckDBPyConnection]) -> None:
    sql = 'WITH logs AS (FROM RAW."logs") SELECT (SELECT count(*) FROM mart.trends) FROM logs JOIN lake.core.incidents ON TRUE'
    assert check(door[1], sql).tables == ("core.incidents", "mart.trends", "raw.logs")


def test_a_lake_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    settings = parse({}, tmp_path / "lakebed.toml")
    with pytest.raises(Exception, match="there is no lake yet"):
        query(settings, "SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_query_of_its_own_opens_and_closes(lake: Lake) -> None:
    lake.land(points_unit("b1", [(1, at("2026-03-01 01:00"), 1.5)]))
    table = query(lake.settings, "SELECT twice(value) AS v FROM raw.metric_points", macros=MACRO)
    assert table.to_pydict() == {"v": [3.0]}
