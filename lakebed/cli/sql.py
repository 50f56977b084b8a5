"""`lakebed sql`: ask the lake, read-only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, errors
from warehouse.errors import ConfigError, QueryError
from warehouse.settings import Settings, load

if TYPE_CHECKING:
    import duckdb

EXAMPLES = """
Examples:

  lakebed sql "SELECT service, trend_class, slope_per_day FROM mart.trends ORDER BY abs(slope_per_day) DESC LIMIT 10"

  lakebed sql --csv "SELECT * FROM mart.cost_by_service_daily" > cost.csv

  lakebed sql --json --file question.sql

  echo "SELECT count(*) FROM raw.logs" | lakebed sql

  lakebed sql            (a prompt; .tables, .schema TABLE, .help, .quit)
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sql", epilog=EXAMPLES)(sql_command)


@dataclass(frozen=True, slots=True)
class Session:
    """An open, read-only lake and how its answers are printed. form: table, json or csv; max_rows bounds tables only."""

    settings: Settings
    connection: duckdb.DuckDBPyConnection
    form: str
    timeout_s: float
    max_rows: int


def sql_command(
    query: Annotated[str | None, typer.Argument(help="One SELECT, DESCRIBE, SUMMARIZE or EXPLAIN. Without: a prompt, or a pipe.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="All rows as a JSON list of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV; text that a spreadsheet would run is neutralised.")] = False,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the query from a file.", exists=True, dir_okay=False)] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_000, help="Seconds that a query may take.")] = 60.0,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows that a table shows; --json and --csv give all.")] = 100,
) -> None:
    """Ask the lake in SQL, read-only: one SELECT (or EXPLAIN of one) at a time.

    Schemas: raw (as it came), core (conformed), mart (what people read), meta (the platform about itself), quarantine, archive.
    Queries cannot write, read other files or run without end; each is noted and shows up in meta.query_log after the next run."""
    if as_json and as_csv:
        raise ConfigError("give --json or --csv, not both")
    if query is not None and file is not None:
        raise ConfigError("give a query or --file, not both")
    text = file.read_text(encoding="utf-8") if file else query
    with open_session(
        load(config), form="json" if as_json else "csv" if as_csv else "table", timeout_s=timeout, max_rows=max_rows
    ) as session:
        if text is not None:
            answer(session, text)
            return
        from lakebed.cli.prompt import converse, read_pipe

        converse(session) if sys.stdin.isatty() else read_pipe(session, sys.stdin)


@contextmanager
def open_session(settings: Settings, *, form: str, timeout_s: float, max_rows: int) -> Iterator[Session]:
    """Open the lake for people; the process cannot allocate more than the configured memory and 1 GiB while it is open."""
    from lakebed.cli.limits import bounded_memory
    from transforms.model import macros, table_macros
    from warehouse.lake.query import open_read_only

    with bounded_memory(settings.lake.memory_limit):
        connection = open_read_only(settings, macros(), table_macros())
        try:
            yield Session(settings, connection, form, timeout_s, max_rows)
        finally:
            connection.close()


def answer(session: Session, text: str) -> None:
    """Run one query, print its rows, and note it in the spool. Raises QueryError."""
    from lakebed.cli.limits import hard_stop
    from lakebed.cli.rows import Writer, write_csv, write_json, write_table
    from warehouse.lake.query import stream

    writers: dict[str, Writer] = {"json": write_json, "csv": write_csv, "table": lambda result: write_table(result, session.max_rows)}
    started, clock = datetime.now(UTC), time.monotonic()
    rows, tables, problem = None, "", None

    def note(rows: int | None, problem: str | None) -> None:
        _note(session, started, time.monotonic() - clock, text, tables, rows, problem)

    try:
        with (
            hard_stop(session.timeout_s, lambda: note(None, "could not be stopped; the process was ended")),
            stream(session.connection, text, timeout_s=session.timeout_s) as result,
        ):
            tables = " ".join(result.tables)
            rows = writers[session.form](result)
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        problem = "stopped by the user"
        raise
    except QueryError as error:
        problem = str(error)
        raise
    finally:
        note(rows, problem)


def _note(session: Session, started: datetime, seconds: float, text: str, tables: str, rows: int | None, problem: str | None) -> None:
    """Append the query to the spool; a folder that cannot be written is said, and stops nobody from reading."""
    import getpass
    import uuid

    from warehouse.lake.query_log import QueryRecord, record

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    moment = started.replace(tzinfo=None).isoformat()
    try:
        record(session.settings, QueryRecord(str(uuid.uuid4()), moment, round(seconds, 4), user, text, tables, rows, problem))
    except OSError as error:
        errors.print(f"the query could not be noted for meta.query_log: {error}", markup=False, highlight=False)
