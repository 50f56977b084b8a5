"""The hot tier: `warehouse.duckdb`, native tables for dashboards, built beside and swapped in with one rename.

A DuckDB file that one process writes cannot be opened by another, so readers never see a file that is being written. The new file starts
as a copy of the old one and takes only the days that changed; days that are not passed or waved keep their last good rows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.ddl import create_table
from warehouse.errors import LakeError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake
from warehouse.lake.space import refuse_full
from warehouse.lake.state import NO_DAY, USABLE

LOGS = ("meta.ingest_log", "meta.day_state", "meta.check_results", "meta.runs")
SCHEMAS = ("raw", "core", "mart", "meta")
AS_LARGE_AS_RAW = ("core.metric_rollup_5m",)
"""Derived tables of which the hot tier holds as few days as of raw ones."""


@dataclass(slots=True)
class Published:
    """What a publication wrote. Sizes in bytes."""

    path: Path
    days: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


def publish(lake: Lake, *, progress: Callable[[str], None] = lambda _message: None) -> Published:
    """Bring `warehouse.duckdb` to the lake's passed days. Raises LakeError when the target cannot be written."""
    started = time.monotonic()
    target = _target(lake)
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.building.{os.getpid()}")
    result = Published(target)
    refuse_full(lake.settings.lake, target.parent, needed=target.stat().st_size if target.exists() else 0)
    with lake.catalog.lock(("publish",)):
        for left in target.parent.glob(f".{target.name}.building.*"):  # of processes that died; the lock says that no other builds now
            left.unlink()
        try:
            _build(lake, target, building, result, progress)
            building.chmod(0o444)
            lake.step("publishing")
            building.replace(target)
            lake.step("published")
        except OSError as error:
            raise LakeError(f"{target} cannot be published: {error}") from error
        finally:
            building.unlink(missing_ok=True)
            building.with_name(building.name + ".wal").unlink(missing_ok=True)
    result.bytes, result.seconds = target.stat().st_size, time.monotonic() - started
    return result


def is_behind(lake: Lake) -> bool:
    """Whether `warehouse.duckdb` lacks a day or table that may be read now. Compares versions and reads no rows.

    A file that is not there or cannot be read lacks everything. The platform's own tables are no reason to publish: every run adds to
    them."""
    target = _target(lake)
    try:
        done = _published_versions(lake, target) if target.exists() else {}
    except duckdb.Error:
        return True
    return not target.exists() or any(_missing(lake, contract, done.get(name, {})) for name, contract in CONTRACTS.items())


def _target(lake: Lake) -> Path:
    return Path(lake.settings.resolve(lake.settings.publish.path))


def _published_versions(lake: Lake, target: Path) -> dict[str, dict[date, int]]:
    """Table -> day -> version of what a published file holds."""
    lake.connection.execute(f"ATTACH {literal(str(target))} AS hot (READ_ONLY)")
    try:
        rows = lake.connection.execute("SELECT table_name, day, version FROM hot.meta.published").fetchall()
    finally:
        lake.connection.execute("DETACH hot")
    found: dict[str, dict[date, int]] = {}
    for table, day, version in rows:
        found.setdefault(table, {})[day] = version
    return found


def _missing(lake: Lake, contract: Contract, done: Mapping[date, int]) -> dict[date, int]:
    """Day (NO_DAY for a table without days) -> version of what may be read, belongs into the hot tier, and is not in it."""
    if contract.schema == "meta":
        return {}
    states = {day: state for day, state in lake.states(contract.full_name).items() if (day != NO_DAY) == contract.has_day}
    first = _first_day(lake, contract, states) if contract.has_day else NO_DAY
    return {day: s.version for day, s in states.items() if day >= first and s.state in USABLE and done.get(day) != s.version}


def _build(lake: Lake, target: Path, building: Path, result: Published, progress: Callable[[str], None]) -> None:
    if target.exists():
        shutil.copyfile(target, building)
    connection = lake.connection
    connection.execute(f"ATTACH {literal(str(building))} AS hot")
    try:
        connection.execute("BEGIN")
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS hot.{schema}")
        connection.execute("CREATE TABLE IF NOT EXISTS hot.meta.published (table_name VARCHAR, day DATE, version BIGINT)")
        for contract in CONTRACTS.values():
            progress(f"publish {contract.full_name}")
            _refresh(lake, contract, result)
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT hot")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("USE lake")
        connection.execute("DETACH hot")


def _refresh(lake: Lake, contract: Contract, result: Published) -> None:
    name = f"hot.{contract.full_name}"
    _ensure_table(lake, contract)
    whole = None if contract.schema == "meta" or contract.has_day else lake.states(contract.full_name).get(NO_DAY)
    if whole is not None and whole.state not in USABLE:
        return
    if contract.schema == "meta" or not contract.has_day:
        lake.connection.execute(f"DELETE FROM {name}")
        if contract.schema != "meta" or contract.full_name in LOGS or contract.shape == "entity":
            lake.connection.execute(f"INSERT INTO {name} SELECT * FROM {contract.full_name}")
        if whole is not None:
            _remember(lake, contract, {NO_DAY: whole.version})
        return
    first = _first_day(lake, contract, [d for d in lake.states(contract.full_name) if d != NO_DAY])
    lake.connection.execute(f"DELETE FROM {name} WHERE day < ?", [first])
    lake.connection.execute("DELETE FROM hot.meta.published WHERE table_name = ? AND day < ?", [contract.full_name, first])
    done = dict(
        lake.connection.execute("SELECT day, version FROM hot.meta.published WHERE table_name = ?", [contract.full_name]).fetchall()
    )
    missing = _missing(lake, contract, done)
    if not missing:
        return
    changed = sorted(missing)
    lake.connection.execute(f"DELETE FROM {name} WHERE list_contains(?, day)", [changed])
    order = ", ".join(identifier(n) for n in contract.sort_key) or "ALL"
    columns = ", ".join(identifier(n) for n in contract.column_names)
    counted = lake.connection.execute(
        f"INSERT INTO {name} SELECT {columns} FROM {contract.full_name} "
        f"WHERE day >= ? AND day <= ? AND list_contains(?, day) ORDER BY day, {order}",
        [changed[0], changed[-1], changed],
    ).fetchone()
    _remember(lake, contract, missing)
    result.days += len(changed)
    result.rows += int(counted[0]) if counted else 0


def _remember(lake: Lake, contract: Contract, versions: Mapping[date, int]) -> None:
    """Note in the file which versions it holds now."""
    table, days = contract.full_name, list(versions)
    lake.connection.execute("DELETE FROM hot.meta.published WHERE table_name = ? AND list_contains(?, day)", [table, days])
    lake.connection.execute(
        "INSERT INTO hot.meta.published SELECT ?, unnest(?::DATE[]), unnest(?::BIGINT[])", [table, days, list(versions.values())]
    )


def _first_day(lake: Lake, contract: Contract, held: Collection[date]) -> date:
    """First day that the hot tier keeps of a table: all of marts, the newest days of rollups, fewer of raw tables."""
    if contract.schema == "mart" or not held:
        return date.min
    few = contract.schema == "raw" or contract.full_name in AS_LARGE_AS_RAW
    days = lake.settings.publish.raw_days if few else lake.settings.publish.rollup_days
    return max(held) - timedelta(days=days - 1)


def _ensure_table(lake: Lake, contract: Contract) -> None:
    """Create the table with its comments, or again from nothing when the contract's columns changed."""
    columns = lake.connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'hot' AND schema_name = ? AND table_name = ? ORDER BY column_index",
        [contract.schema, contract.name],
    ).fetchall()
    if [c[0] for c in columns] == list(contract.column_names):
        return
    name = f"hot.{contract.full_name}"
    if columns:
        lake.connection.execute(f"DROP TABLE {name}")
        lake.connection.execute("DELETE FROM hot.meta.published WHERE table_name = ?", [contract.full_name])
    lake.connection.execute(create_table(name, contract.columns))
    lake.connection.execute(f"COMMENT ON TABLE {name} IS {literal(contract.description)}")
    for column in contract.columns:
        text = f"{column.description} [{column.unit}]" if column.unit else column.description
        lake.connection.execute(f"COMMENT ON COLUMN {name}.{identifier(column.name)} IS {literal(text)}")
