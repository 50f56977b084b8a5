"""Erasing from `warehouse.duckdb`: the rows go, and so do the pages that held them, because the file is written anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb

from warehouse.archive.subjects import Match
from warehouse.lake.catalog import Catalog
from warehouse.lake.connection import literal, scratch
from warehouse.settings import Settings

PlaceT = TypeVar("PlaceT")


def erase_published(settings: Settings, matches: Sequence[Match], place: Callable[[str, int], PlaceT], *, do: bool) -> list[PlaceT]:
    """Erase the rows of matches from the published file, if there is one; with do=False only count them. One place per table with rows."""
    target = Path(settings.resolve(settings.publish.path))
    if not target.is_file():
        return []
    with Catalog.of(settings).lock(("publish",)), scratch(settings.lake) as connection:
        connection.execute(f"ATTACH {literal(str(target))} AS hot (READ_ONLY)")
        counts = _counts(connection, matches)
        if do and counts:
            _write_without(connection, target, [m for m in matches if m.definition.full_name in counts])
    return [place(f"{target.name} {table}", count) for table, count in counts.items()]


def _counts(connection: duckdb.DuckDBPyConnection, matches: Sequence[Match]) -> dict[str, int]:
    tables = {
        r[0]
        for r in connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'hot'").fetchall()
    }
    found = {}
    for match in matches:
        name = match.definition.full_name
        if name in tables:
            row = connection.execute(f"SELECT count(*) FROM hot.{name} WHERE {match.condition}", match.values).fetchone()
            if row and row[0]:
                found[name] = int(row[0])
    return found


def _write_without(connection: duckdb.DuckDBPyConnection, target: Path, matches: Sequence[Match]) -> None:
    """A new file with every table but the rows of the matches, swapped in. Deleting from a copy would leave the rows in its free pages."""
    building = target.with_name(f".{target.name}.building.{os.getpid()}")  # the name by which leftovers of dead processes are swept
    for left in target.parent.glob(f".{target.name}.building.*"):  # the lock says that no other builds now
        left.unlink(missing_ok=True)
    try:
        connection.execute(f"ATTACH {literal(str(building))} AS fresh")
        connection.execute("COPY FROM DATABASE hot TO fresh (SCHEMA)")
        conditions = {m.definition.full_name: m for m in matches}
        names = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'hot'").fetchall()
        for (name,) in names:
            match = conditions.get(name)
            where = f" WHERE ({match.condition}) IS NOT TRUE" if match else ""
            connection.execute(f"INSERT INTO fresh.{name} FROM hot.{name}{where}", match.values if match else [])
        connection.execute("CHECKPOINT fresh")
        connection.execute("DETACH fresh")
        building.chmod(0o444)
        building.replace(target)
    finally:
        building.unlink(missing_ok=True)
        building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
