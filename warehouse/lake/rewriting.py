"""Maintenance's own ways to write: `rewrite` (the same rows, sorted, in one file), `drop` (a day that an applied plan names) and `erase`
(the rows of a subject). Each is one transaction per table and day, and refuses when what it was told about is not what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.contracts import CONTRACTS, Contract, contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.errors import LakeError, RetentionError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.digest import BATCH_ROWS, Digest, quick_digest
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import SETTLED, Partition, partition
from warehouse.lake.state import append_states, day_states, insert, utc_now

SETTLED_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 524288"
WITHOUT_DICTIONARIES = f"{SETTLED_PARQUET}, DICTIONARY_SIZE_LIMIT 1"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What rewriting a day did. bytes: before and after."""

    rows: int
    files_before: int
    bytes_before: int
    bytes_after: int


def rewrite(lake: Lake, table: str, day: date) -> Rewritten | None:
    """Write a day (NO_DAY: a table without days) as one file sorted by the contract's sort key. Rows and the day's version stay.

    None when there is nothing to do: no rows, written so already, or another writer came between.
    Raises LakeError when the new file does not hold the same rows, bit for bit; nothing is changed then."""
    definition = contract(table)
    before = partition(lake.connection, definition.storage_name, day)
    if not before.files or before.settled:
        return None
    path = new_file(lake, definition, day)
    done = False
    try:
        _write_sorted(lake, lake.connection, definition, day_rows(definition, day), path)
        done = replace_files(lake, before, path, before.row_count, f"settle {table} {day}")
    finally:
        if not done:
            forget(path)
    if not done:
        return None
    after = partition(lake.connection, definition.storage_name, day)
    return Rewritten(before.row_count, len(before.files), before.bytes, after.bytes)


def new_file(lake: Lake, definition: Contract, day: date) -> str:
    """A new path for the settled rows of a day, where the lake can register it."""
    folder = lake.folder(definition.storage_name) + (f"/day={day}" if definition.has_day else "")
    if "://" not in folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return f"{folder}/{SETTLED}{uuid4()}.parquet"


def forget(path: str) -> None:
    """Delete a file that was not registered (those of object stores are swept as orphans)."""
    if "://" not in path:
        Path(path).unlink(missing_ok=True)


def day_rows(definition: Contract, day: date, *, condition: str | None = None) -> str:
    """The SELECT of a day's rows without the partition column, optionally only those for which a condition (with `?`) is not TRUE."""
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day") if definition.has_day else "*"
    where = f"day = DATE '{day}'" if definition.has_day else "TRUE"
    keep = f" AND ({condition}) IS NOT TRUE" if condition else ""
    return f"SELECT {columns} FROM {definition.storage_name} WHERE {where}{keep}"


def _write_sorted(
    lake: Lake, connection: duckdb.DuckDBPyConnection, definition: Contract, select: str, path: str, values: tuple[object, ...] = ()
) -> None:
    """Write the rows of a SELECT sorted, and prove that the file holds them bit for bit.

    DuckDB's dictionaries make all NaN one and 0.0 of -0.0; where that would change a row, the file is written without them."""
    order = ", ".join(identifier(n) for n in definition.sort_key if n != "day")
    lake.step("settling")
    expected = _digest(connection, select, values)
    for options in (SETTLED_PARQUET, WITHOUT_DICTIONARIES):
        connection.execute(f"COPY ({select}{f' ORDER BY {order}' if order else ''}) TO {literal(path)} ({options})", list(values))
        found = _digest(connection, f"SELECT * FROM read_parquet({literal(path)}, hive_partitioning = false)")
        if found == expected:
            lake.step("settled")
            return
    raise LakeError(f"{definition.full_name}: {path} does not hold the {expected.rows} rows it should; nothing was changed")


def _digest(connection: duckdb.DuckDBPyConnection, select: str, values: tuple[object, ...] = ()) -> Digest:
    reader = connection.execute(select, list(values)).to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        return quick_digest(cursor, reader)


def put_day(
    lake: Lake, definition: Contract, day: date, connection: duckdb.DuckDBPyConnection, name: str, *, reason: str, run_id: str | None = None
) -> int:
    """Make the rows of a table of `connection` the day's rows, in place of those that are there; returns how many.

    The day becomes `unchecked` under a new version. Raises LakeError when a writer came between."""
    before = partition(lake.connection, definition.storage_name, day)
    state = day_states(lake.connection, definition.full_name, [day]).get(day)
    row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    count, path = int(row[0]) if row else 0, new_file(lake, definition, day)
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day")

    def record() -> None:
        version = state.version + 1 if state else 1
        append_states(lake.connection, definition.full_name, {day: (version, "unchecked", count, None, reason)}, run_id)

    done = False
    try:
        _write_sorted(lake, connection, definition, f"SELECT {columns} FROM {name}", path)
        done = replace_files(lake, before, path, count, f"put {definition.full_name} {day}: {reason}", within=record)
    finally:
        if not done:
            forget(path)
    if not done:
        raise LakeError(f"{definition.full_name} {day} was written at the same time; nothing was changed. Run it again")
    return count


def replace_files(
    lake: Lake, before: Partition, path: str | None, rows: int, message: str, *, within: Callable[[], None] = lambda: None
) -> bool:
    """In one transaction: the files of a partition out, one file (or none) in, and whatever `within` adds to it.

    False, and nothing changed, when the partition's files are not those of `before` any more.
    Raises LakeError when the table would then not hold `rows` rows there."""
    connection, name = lake.connection, before.storage_name
    by_day = any(c.storage_name == name and c.has_day and c.shape != "log" for c in CONTRACTS.values())
    where = f"day = DATE '{before.day}'" if by_day else "TRUE"
    with lake.catalog.lock((_lock_name(name), "maintenance")):
        connection.execute("BEGIN")
        try:
            if partition(connection, name, before.day) != before:
                connection.execute("ROLLBACK")
                return False
            connection.execute(f"DELETE FROM {name} WHERE {where}")
            lake.step("replacing")
            lake.register(name, [path] if path else [], hive=by_day)
            found = connection.execute(f"SELECT count(*) FROM {name} WHERE {where}").fetchone()
            if found is None or found[0] != rows:
                raise LakeError(f"{message}: {found} rows instead of {rows}; nothing was changed")
            within()
            connection.execute("CALL lake.set_commit_message('lakebed', ?)", [message])
            connection.execute("COMMIT")
        except duckdb.TransactionException as error:
            if "conflict" in str(error).lower():
                return False
            raise LakeError(f"{message}: the commit failed: {error}") from error
        except BaseException:
            _rollback(connection)
            raise
    lake.step("replaced")
    return True


def _lock_name(storage_name: str) -> str:
    """The name under which writers lock a table."""
    return next((c.full_name for c in CONTRACTS.values() if c.storage_name == storage_name), storage_name)


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return


def drop(lake: Lake, table: str, day: date, plan_id: str, *, present: Partition | None = None, run_id: str | None = None) -> int:
    """Take a day out of the lake because a stored plan says so, and record that in the same transaction; returns the rows dropped.

    The day's state becomes `dropped` under the same version, so nothing downstream is built again from less.
    present: the files that were archived; the day must still consist of exactly these.
    Raises RetentionError when the plan does not drop this day, did so already, or the day has changed since."""
    definition = contract(table)
    before = present or partition(lake.connection, definition.storage_name, day)
    state = day_states(lake.connection, table, [day]).get(day)
    if state is None or not definition.has_day:
        raise RetentionError(f"{table} has no day {day} to drop")
    planned = _planned(lake, table, day, plan_id, state.version)

    def record() -> None:
        now = day_states(lake.connection, table, [day]).get(day)
        if now is None or now.version != state.version:
            raise RetentionError(f"{table} {day} was written while plan {plan_id} was applied; nothing of it was dropped. Make a new plan")
        append_states(lake.connection, table, {day: (state.version, "dropped", 0, state.inputs, f"plan {plan_id}")}, run_id)
        insert(lake.connection, "store.meta_retention_plans", [(*planned, utc_now(lake.connection))])

    if not replace_files(lake, before, None, 0, f"drop {table} {day} plan {plan_id}", within=record):
        raise RetentionError(f"{table} {day} was written while plan {plan_id} was applied; nothing of it was dropped. Make a new plan")
    return before.row_count


def drop_quarantined(lake: Lake, name: str, day: date, plan_id: str) -> int:
    """Remove the rows of a quarantine table that were set aside on a day, because a stored plan says so; returns how many went.

    Raises RetentionError when the plan does not, did so already, or rows were added to that day since."""
    where = "CAST(quarantined_at AS DATE) = ?"
    connection = lake.connection
    with lake.catalog.lock((name, "maintenance")):
        connection.execute("BEGIN")
        try:
            row = connection.execute(f"SELECT count(*) FROM {name} WHERE {where}", [day]).fetchone()
            count = int(row[0]) if row else 0
            planned = _planned(lake, name, day, plan_id, count)
            connection.execute(f"DELETE FROM {name} WHERE {where}", [day])
            insert(connection, "store.meta_retention_plans", [(*planned, utc_now(connection))])
            connection.execute("CALL lake.set_commit_message('lakebed', ?)", [f"drop {name} {day} plan {plan_id}"])
            connection.execute("COMMIT")
        except BaseException:
            _rollback(connection)
            raise
    return count


def _planned(lake: Lake, table: str, day: date, plan_id: str, version: int) -> tuple[object, ...]:
    """The plan's row for a day, without `applied_at`; raises RetentionError when it does not allow a drop now."""
    rows = lake.connection.execute(
        """SELECT plan_id, table_name, day, version, action, rule, row_count, bytes, planned_at, applied_at FROM meta.retention_plans
           WHERE plan_id = ? AND table_name = ? AND day = ?""",
        [plan_id, table, day],
    ).fetchall()
    allowed = [r for r in rows if r[4] in ("archive", "drop")]
    if not allowed:
        raise RetentionError(f"plan {plan_id} does not drop {table} {day}; nothing was changed")
    if any(r[9] is not None for r in allowed):
        raise RetentionError(f"plan {plan_id} was applied to {table} {day} already")
    if allowed[0][3] != version:
        raise RetentionError(f"{table} {day} has version {version} and plan {plan_id} was made for {allowed[0][3]}. Make a new plan")
    return tuple(allowed[0][:9])


def erase(lake: Lake, table: str, day: date, condition: str, values: tuple[object, ...], *, reason: str, run_id: str | None = None) -> int:
    """Rewrite a day without the rows for which a condition over the table's columns (with `?`) is TRUE; returns how many went.

    The day's version rises, so that everything derived from it is built again without them. The old files stay until the snapshots that
    need them have expired (`tidy`). Raises LakeError when a writer came between."""
    definition = contract(table)
    before = partition(lake.connection, definition.storage_name, day)
    where = f"day = DATE '{day}' AND" if definition.has_day else ""
    row = lake.connection.execute(f"SELECT count(*) FROM {definition.storage_name} WHERE {where} ({condition})", list(values)).fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return 0
    left, path = before.row_count - count, new_file(lake, definition, day)
    state = day_states(lake.connection, table, [day]).get(day)

    def record() -> None:
        version, kind = (state.version + 1, state.state) if state else (1, "unchecked")
        kind = kind if kind == "dropped" else "unchecked"
        append_states(lake.connection, table, {day: (version, kind, left, None, reason)}, run_id)

    done = False
    try:
        _write_sorted(lake, lake.connection, definition, day_rows(definition, day, condition=condition), path, values)
        done = replace_files(lake, before, path if left else None, left, f"erase from {table} {day}", within=record)
    finally:
        if not done or not left:
            forget(path)
    if not done:
        raise LakeError(f"{table} {day} was written while rows were erased from it; nothing of it was changed. Run it again")
    return count


def erase_quarantined(lake: Lake, table: str, value: str) -> int:
    """Remove every quarantined record of a table in whose text a value stands; returns how many went."""
    name = quarantine_name(contract(table))
    before = partition(lake.connection, name, date(1970, 1, 1))
    row = lake.connection.execute(f"SELECT count(*) FROM {name} WHERE contains(record, ?)", [value]).fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return 0
    path, done = f"{lake.folder(name)}/merged_{uuid4()}.parquet", False
    left = before.row_count - count
    try:
        lake.connection.execute(f"COPY (FROM {name} WHERE contains(record, ?) IS NOT TRUE) TO {literal(path)} ({SETTLED_PARQUET})", [value])
        done = replace_files(lake, before, path if left else None, left, f"erase from {name}")
    finally:
        if not done or not left:
            forget(path)
    if not done:
        raise LakeError(f"{name} was written while rows were erased from it; nothing of it was changed. Run it again")
    return count
