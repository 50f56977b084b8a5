"""Entities that change in place under their key (series, incidents, changes): what arrives meets what stands, in one join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import duckdb

from warehouse.contracts import Contract
from warehouse.errors import ContractError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.state import NO_DAY
from warehouse.lake.writing import StagedFile, read_files

CHANGED, REPLACING = "NOT same", "there AND NOT same"


@dataclass(slots=True)
class Swapped:
    """Rows per day that an upsert added and removed, and the days whose answer changes with them."""

    added: dict[date, int] = field(default_factory=dict)
    removed: dict[date, int] = field(default_factory=dict)
    touched: set[date] = field(default_factory=set)


def upsert_entities(
    connection: duckdb.DuckDBPyConnection, table: Contract, files: Sequence[StagedFile], source: str, origin: str
) -> Swapped:
    """New and changed entities of a source replace what stands under their key, inside the open transaction; equal ones change nothing.

    Raises ContractError when a key stands for something else already."""
    _meet(connection, table, read_files(files, hive=table.has_day), source)
    _refuse_collisions(connection, table, origin)
    swapped = Swapped(_counts(connection, table, "day", CHANGED), _counts(connection, table, "old_day", REPLACING))
    if table.dirties:
        swapped.touched = _days(connection, "old_start", "old_end", REPLACING) | _days(connection, "start", "end", CHANGED)
    keys = ", ".join(identifier(n) for n in table.grain)
    if swapped.removed:
        connection.execute(f"DELETE FROM {table.storage_name} WHERE ({keys}) IN (SELECT ({keys}) FROM arriving WHERE {REPLACING})")
    if swapped.added:
        names = ", ".join(identifier(n) for n in table.column_names)
        connection.execute(f"INSERT INTO {table.storage_name} ({names}) SELECT {names} FROM arriving WHERE {CHANGED}")
    return swapped


def _meet(connection: duckdb.DuckDBPyConnection, table: Contract, arriving: str, source: str) -> None:
    """The temporary table `arriving`: what a key will stand for, whether something is `there`, is the `same`, or `collides` with it, and
    the span of days of both."""
    merged = dict(table.merge)
    values = {
        n: f"CASE WHEN o.hit THEN {merged[n]}(n.{identifier(n)}, o.{identifier(n)}) ELSE n.{identifier(n)} END"
        if n in merged
        else f"n.{identifier(n)}"
        for n in table.column_names
    }
    content = [n for n in table.column_names if n not in (*table.grain, "batch_id")]
    same = " AND ".join(f"({values[n]}) IS NOT DISTINCT FROM o.{identifier(n)}" for n in content)
    collides = " OR ".join(f"o.{identifier(n)} IS DISTINCT FROM n.{identifier(n)}" for n in table.immutable) or "FALSE"
    extra = [
        "o.hit IS NOT NULL AS there",
        f"o.hit IS NOT NULL AND {same} AS same",
        f"o.hit IS NOT NULL AND ({collides}) AS collides",
        "o.day AS old_day" if table.has_day else "NULL AS old_day",
    ]
    if table.dirties:
        start, end = table.dirties
        for alias, prefix in (("o", "old_"), ("n", "")):
            first = f"{alias}.{identifier(start)}"
            extra += [f"{first} AS {prefix}start", f'coalesce({alias}.{identifier(end)}, {first}) AS "{prefix}end"']
    standing = f"SELECT *, TRUE AS hit FROM {table.storage_name}" + (f" WHERE source = {literal(source)}" if table.has_source else "")
    columns = ", ".join([*(f"{value} AS {identifier(name)}" for name, value in values.items()), *extra])
    keys = ", ".join(identifier(n) for n in table.grain)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE arriving AS SELECT {columns} FROM {arriving} AS n LEFT JOIN ({standing}) AS o USING ({keys})"
    )


def _refuse_collisions(connection: duckdb.DuckDBPyConnection, table: Contract, origin: str) -> None:
    keys = ", ".join(identifier(n) for n in table.grain)
    row = connection.execute(f"SELECT {keys} FROM arriving WHERE collides LIMIT 1").fetchone() if table.immutable else None
    if row is not None:
        raise ContractError(f"{origin}: {table.full_name} key {row} stands for something else already (hash collision); nothing landed")


def _counts(connection: duckdb.DuckDBPyConnection, table: Contract, day: str, condition: str) -> dict[date, int]:
    column = day if table.has_day else f"DATE '{NO_DAY}'"
    rows = connection.execute(f"SELECT {column}, count(*) FROM arriving WHERE {condition} GROUP BY ALL HAVING count(*) > 0").fetchall()
    return {at: int(count) for at, count in rows}


def _days(connection: duckdb.DuckDBPyConnection, start: str, end: str, condition: str) -> set[date]:
    rows = connection.execute(f'SELECT DISTINCT CAST("{start}" AS DATE), CAST("{end}" AS DATE) FROM arriving WHERE {condition}').fetchall()
    return {first + timedelta(days=i) for first, last in rows for i in range((last - first).days + 1)}
