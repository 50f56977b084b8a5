"""Good rows to the lake in one pass, and a second pass only when some were bad: to say which, where and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from sources.rejects import KEPT_CHARS
from sources.table.mapping import Mapped
from sources.table.rejects import DAMAGES, integers, join_lines
from warehouse.errors import SourceError
from warehouse.lake.connection import literal
from warehouse.lake.unit import Part

COUNTER = "table_rejected"


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Start the count of rejected rows at zero."""
    connection.execute(f"CREATE OR REPLACE TEMP SEQUENCE {COUNTER}")


def good(reasons: Sequence[tuple[str, str]], *, empty_is_damage: bool) -> str:
    """A condition that keeps the good rows and counts the others on the way: the sequence moves only for rows that fail."""
    conditions = [f"({condition})" for condition, _ in reasons] + (['"__empty"'] if empty_is_damage else [])
    if not conditions:
        return "TRUE"
    return f"CASE WHEN coalesce({' OR '.join(conditions)}, FALSE) THEN nextval('{COUNTER}') < 0 ELSE TRUE END"


def counted(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows failed so far."""
    row = connection.execute(f"SELECT last_value FROM duckdb_sequences() WHERE sequence_name = '{COUNTER}'").fetchone()
    return int(row[0] or 0) if row else 0


def rejects(
    connection: duckdb.DuckDBPyConnection, table: str, mapped: Mapped, numbered_rows: str | None, reasons: Sequence[tuple[str, str]]
) -> Iterator[Part]:
    """Everything in the file that did not become a row of `table`: after the good rows were read. At most one part.

    numbered_rows: query with the `r_` columns and `__ordinal`, `__text`, `__problem`, `__json`; by default all rows of the mapping.
    Raises SourceError when the second pass does not find the rows that the first one left out."""
    failed = counted(connection)
    damaged = mapped.table.damage()
    selects = []
    if failed:
        _explain(connection, mapped, numbered_rows or mapped.select(numbered=True), reasons, failed)
        ordinals = integers(connection, 'SELECT DISTINCT "__ordinal" AS n FROM table_rejects ORDER BY n')
        join_lines(connection, "table_rejects", "__ordinal", ordinals, mapped.table.locate(ordinals))
        selects.append("SELECT reason, line, record FROM table_rejects")
    if damaged:
        selects.append(f"SELECT reason, line, record FROM {DAMAGES}")
    if selects:
        rows = connection.sql(
            f"SELECT reason, {literal(mapped.file)} AS file, line, record FROM ({' UNION ALL '.join(selects)}) ORDER BY line"
        )
        yield Part(table, rows, rejects=True)


def _explain(connection: duckdb.DuckDBPyConnection, mapped: Mapped, rows: str, reasons: Sequence[tuple[str, str]], failed: int) -> None:
    whens = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in reasons)
    empty = """WHEN "__empty" THEN 'empty_record'""" if mapped.table.empty_is_damage else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE table_rejects AS SELECT * FROM (
            SELECT "__ordinal", 0::BIGINT AS line, CASE WHEN "__problem" IS NOT NULL THEN "__problem" {empty} {whens} END AS reason,
                   left(coalesce("__text", "__json"), {KEPT_CHARS}) AS record FROM ({rows})) WHERE reason IS NOT NULL"""
    )
    row = connection.execute("SELECT count(*) FROM table_rejects").fetchone()
    found = int(row[0]) if row else 0
    if not found or failed % found:
        raise SourceError(
            f"{mapped.file}: {failed} rows could not be read, but a second pass found {found}; nothing was taken, please report it"
        )
