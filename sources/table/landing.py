"""Good rows to the lake in one pass, and a second pass only when some were bad: to say which, where and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from sources.rejects import KEPT_CHARS
from sources.table.mapping import Converted, Mapped
from sources.table.rejects import DAMAGES, integers, join_lines
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Part

COUNTER = "table_rejected"


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Start the count of rejected rows at zero."""
    connection.execute(f"CREATE OR REPLACE TEMP SEQUENCE {COUNTER}")


def checked(rows: str, columns: Mapping[str, Converted], *, empty_is_damage: bool) -> str:
    """A query of the good rows, with the `c_` columns beside the `r_` ones. The others move a sequence on the way, and only they.

    Three levels on purpose: what is computed once stays computed once (a filter over expressions would compute them again), and the
    filter cannot be pushed below the sequence."""
    converted = ", ".join(f"{c.sql} AS {identifier('c_' + name)}" for name, c in columns.items())
    fine = " AND ".join([*(f"({c.fine})" for c in columns.values()), *(['NOT "__empty"'] if empty_is_damage else [])])
    bad = " OR ".join([*(f"({cond})" for cond, _ in _reasons(columns)), *(['"__empty"'] if empty_is_damage else [])]) or "FALSE"
    return f"""SELECT * EXCLUDE (failed) FROM (
        SELECT *, CASE WHEN {fine} THEN NULL WHEN {bad} THEN nextval('{COUNTER}') END AS failed
        FROM (SELECT *, {converted} FROM ({rows}))) WHERE failed IS NULL"""


def _reasons(columns: Mapping[str, Converted]) -> list[tuple[str, str]]:
    return [reason for column in columns.values() for reason in column.rejects]


def counted(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows failed so far."""
    row = connection.execute(f"SELECT last_value FROM duckdb_sequences() WHERE sequence_name = '{COUNTER}'").fetchone()
    return int(row[0] or 0) if row else 0


def rejects(
    connection: duckdb.DuckDBPyConnection, table: str, mapped: Mapped, numbered_rows: str | None, columns: Mapping[str, Converted]
) -> Iterator[Part]:
    """Everything in the file that did not become a row of `table`: after the good rows were read. At most one part.

    numbered_rows: query with the `r_` columns and `__ordinal`, `__text`, `__problem`, `__json`; by default all rows of the mapping.
    Raises SourceError when the second pass does not find the rows that the first one left out."""
    failed = counted(connection)
    damaged = mapped.table.damage()
    selects = []
    if failed:
        _explain(connection, mapped, numbered_rows or mapped.select(numbered=True), columns, failed)
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


def _explain(connection: duckdb.DuckDBPyConnection, mapped: Mapped, rows: str, columns: Mapping[str, Converted], failed: int) -> None:
    whens = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in _reasons(columns))
    converted = ", ".join(f"{c.sql} AS {identifier('c_' + name)}" for name, c in columns.items())
    empty = """WHEN "__empty" THEN 'empty_record'""" if mapped.table.empty_is_damage else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE table_rejects AS SELECT * FROM (
            SELECT "__ordinal", 0::BIGINT AS line, CASE WHEN "__problem" IS NOT NULL THEN "__problem" {empty} {whens} END AS reason,
                   left(coalesce("__text", "__json"), {KEPT_CHARS}) AS record
            FROM (SELECT *, {converted} FROM ({rows}))) WHERE reason IS NOT NULL"""
    )
    row = connection.execute("SELECT count(*) FROM table_rejects").fetchone()
    found = int(row[0]) if row else 0
    if not found or failed % found:
        raise SourceError(
            f"{mapped.file}: {failed} rows could not be read, but a second pass found {found}; nothing was taken, please report it"
        )
