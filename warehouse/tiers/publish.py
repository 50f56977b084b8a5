"""The hot tier: `warehouse.duckdb`, native tables for dashboards, built beside and swapped in with one rename.

A DuckDB file that one process writes cannot be opened by another, so readers never see a file that is being written. The new file starts
as a copy of the old one and takes only the days that changed; days that are not passed or waved keep their last good rows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.ddl import create_table
from warehouse.errors import LakeError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY, USABLE

LOGS = ("meta.ingest_log", "meta.day_state", "meta.check_results", "meta.runs")
SCHEMAS = ("raw", "core", "mart", "meta")


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
    target = Path(lake.settings.resolve(lake.settings.publish.path))
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.building.{os.getpid()}")
    result = Published(target)
    with lake.catalog.lock(("publish",)):
        try:
            _build(lake, target, building, result, progress)
            building.chmod(0o444)
            building.replace(target)
        except OSError as error:
            raise LakeError(f"{target} cannot be published: {error}") from error
        finally:
            building.unlink(missing_ok=True)
            building.with_name(building.name + ".wal").unlink(missing_ok=True)
    result.bytes, result.seconds = target.stat().st_size, time.monotonic() - started
    return result


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
        return
    states = {d: s for d, s in lake.states(contract.full_name).items() if d != NO_DAY}
    first = _first_day(lake, contract, states)
    lake.connection.execute(f"DELETE FROM {name} WHERE day < ?", [first])
    done = dict(
        lake.connection.execute("SELECT day, version FROM hot.meta.published WHERE table_name = ?", [contract.full_name]).fetchall()
    )
    changed = sorted(d for d, s in states.items() if d >= first and s.state in USABLE and done.get(d) != s.version)
    if not changed:
        return
    lake.connection.execute(f"DELETE FROM {name} WHERE list_contains(?, day)", [changed])
    order = ", ".join(identifier(n) for n in contract.sort_key) or "ALL"
    columns = ", ".join(identifier(n) for n in contract.column_names)
    counted = lake.connection.execute(
        f"INSERT INTO {name} SELECT {columns} FROM {contract.full_name} "
        f"WHERE day >= ? AND day <= ? AND list_contains(?, day) ORDER BY day, {order}",
        [changed[0], changed[-1], changed],
    ).fetchone()
    lake.connection.execute("DELETE FROM hot.meta.published WHERE table_name = ? AND list_contains(?, day)", [contract.full_name, changed])
    lake.connection.execute(
        "INSERT INTO hot.meta.published SELECT ?, unnest(?::DATE[]), unnest(?::BIGINT[])",
        [contract.full_name, changed, [states[d].version for d in changed]],
    )
    result.days += len(changed)
    result.rows += int(counted[0]) if counted else 0


def _first_day(lake: Lake, contract: Contract, states: Mapping[date, object]) -> date:
    """First day that the hot tier keeps of a table: all of marts, the newest days of rollups and raw tables."""
    if contract.schema == "mart" or not states:
        return date.min
    days = lake.settings.publish.raw_days if contract.schema == "raw" else lake.settings.publish.rollup_days
    return max(states) - timedelta(days=days - 1)


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
