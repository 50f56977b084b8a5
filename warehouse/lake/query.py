"""The read-only door: a connection that can only read the lake, and untrusted queries through it, bounded in time, memory and rows.

READ_ONLY alone is not enough: `COPY ... TO` could still overwrite a file of the lake. So the connection reaches no file but the lake's
and the archive's, its configuration is locked, and a text is run only after `warehouse.lake.statement` has found one SELECT in it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from warehouse.errors import QueryError
from warehouse.lake.catalog import attach
from warehouse.lake.connection import literal
from warehouse.lake.statement import Statement, check
from warehouse.settings import Settings

TIMEOUT_S = 60.0
MAX_ROWS = 1_000_000
BATCH_ROWS = 10_000
SPILL_LIMIT = "16GiB"
SECRETS = re.compile(r"(?i)(password\s*=\s*)('[^']*'|\S+)|(://)[^@/\s]*@")


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of a running query, in batches of at most 10,000, and the tables that it reads."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    tables: tuple[str, ...]


def open_read_only(settings: Settings, macros: str = "", table_macros: str = "") -> duckdb.DuckDBPyConnection:
    """A connection of its own that reads the lake (`raw.logs` is a table) and nothing else; the caller closes it.

    macros: DDL of temporary macros that queries may use; table_macros: of those that name tables of the lake, left out while the lake is
    older than they are and lacks one (the next run adds it). No other file can be opened, no Python variable is a table, settings are
    locked. It still takes any statement: `check` or `query` stand before text that is not Lakebed's own. Raises LakeError."""
    connection, catalog = attach(settings, read_only=True)
    try:
        if macros:
            with _keyboard(connection):
                connection.execute(macros)
        if table_macros:
            with suppress(duckdb.CatalogException), _keyboard(connection):
                connection.execute(table_macros)
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET max_temp_directory_size = {literal(SPILL_LIMIT)}")
        archive = settings.resolve(settings.archive.path).rstrip("/") + "/"
        connection.execute(f"SET allowed_directories = [{literal(catalog.data_path)}, {literal(archive)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def stream(connection: duckdb.DuckDBPyConnection, sql: str, *, timeout_s: float = TIMEOUT_S) -> Iterator[Result]:
    """Run one checked query on a connection of `open_read_only`; its rows stay valid until the block ends.

    timeout_s: seconds from start to the last row. Raises QueryError when the text is not allowed, fails or takes longer."""
    expired = threading.Event()
    try:
        statement = check(connection, sql)
    except duckdb.Error as error:
        raise _explained(error, timeout_s, expired) from None

    def stop() -> None:
        expired.set()
        connection.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield _start(connection, statement, timeout_s, expired)
    finally:
        timer.cancel()


def query(
    settings: Settings,
    sql: str,
    *,
    macros: str = "",
    timeout_s: float = TIMEOUT_S,
    max_rows: int = MAX_ROWS,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> pa.Table:
    """Run one SELECT or EXPLAIN, checked and bounded, and return its rows.

    connection: one of `open_read_only`, to save opening (0.3 s); else one is opened for this query, with `macros`.
    Raises QueryError when the text is not a single reading statement, fails, takes longer or gives more than `max_rows` rows."""
    opened = connection or open_read_only(settings, macros)
    try:
        with stream(opened, sql, timeout_s=timeout_s) as result:
            batches: list[pa.RecordBatch] = []
            rows = 0
            for batch in result.batches:
                batches.append(batch)
                rows += batch.num_rows
                if rows > max_rows:
                    raise QueryError(f"the query gives more than {max_rows:,} rows; add a LIMIT or aggregate")
            return pa.Table.from_batches(batches, schema=result.schema)
    finally:
        if connection is None:
            opened.close()


def _start(connection: duckdb.DuckDBPyConnection, statement: Statement, timeout_s: float, expired: threading.Event) -> Result:
    try:
        with _keyboard(connection):
            reader = connection.execute(statement.text).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise _explained(error, timeout_s, expired) from None

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise _explained(error, timeout_s, expired) from None
            yield batch

    return Result(reader.schema, batches(), statement.tables)


@contextmanager
def _keyboard(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Ctrl+C during a query comes out of DuckDB as a RuntimeError; it is a KeyboardInterrupt again here. The query's threads go on until
    they are told: what comes next on the connection would wait for them."""
    try:
        yield
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            connection.interrupt()
            raise KeyboardInterrupt from None
        raise


def _explained(error: Exception, timeout_s: float, expired: threading.Event) -> QueryError:
    if expired.is_set():
        return QueryError(f"the query was stopped after {timeout_s:g} s; read fewer days, aggregate, or give it more time (--timeout)")
    text = SECRETS.sub(r"\1\3***", str(error))
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(f"the query needs more memory than it may use (lake.memory_limit): {text.splitlines()[0]}")
    return QueryError(f"the query failed: {text}")
