"""Good rows to the lake in one pass, and a second pass only when some were bad: to say which, where and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from sources.rejects import KEPT_CHARS, reject_reader
from sources.table.mapping import Mapped
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
    damages = mapped.table.damage()
    if not failed and not damages:
        return
    if failed:
        _explain(connection, mapped, numbered_rows or mapped.select(numbered=True), reasons, failed)

    def records() -> Iterator[tuple[str, int | None, str]]:
        for damage in damages:
            yield damage.reason, damage.line, damage.record
        if failed:
            found = connection.execute('SELECT "__ordinal", reason, record FROM table_rejects ORDER BY "__ordinal"').fetchall()
            lines = mapped.table.locate([int(row[0]) for row in found])
            for (_, reason, record), line in zip(found, lines, strict=True):
                yield str(reason), line, str(record)

    yield Part(table, reject_reader(iter(list(records())), mapped.file), rejects=True)


def _explain(connection: duckdb.DuckDBPyConnection, mapped: Mapped, rows: str, reasons: Sequence[tuple[str, str]], failed: int) -> None:
    whens = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in reasons)
    empty = """WHEN "__empty" THEN 'empty_record'""" if mapped.table.empty_is_damage else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE table_rejects AS SELECT * FROM (
            SELECT "__ordinal", CASE WHEN "__problem" IS NOT NULL THEN "__problem" {empty} {whens} END AS reason,
                   left(coalesce("__text", "__json"), {KEPT_CHARS}) AS record FROM ({rows})) WHERE reason IS NOT NULL"""
    )
    row = connection.execute("SELECT count(*) FROM table_rejects").fetchone()
    found = int(row[0]) if row else 0
    if not found or failed % found:
        raise SourceError(
            f"{mapped.file}: {failed} rows could not be read, but a second pass found {found}; nothing was taken, please report it"
        )
