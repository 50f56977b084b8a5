"""Maintenance's ways to take rows away: `drop` (a day that a stored plan names) and `erase` (the rows of a subject)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import uuid4

from warehouse.contracts import Contract, contract
from warehouse.errors import LakeError, RetentionError
from warehouse.lake.catalog import MAINTENANCE
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import Partition, SomeRows, partition
from warehouse.lake.replacing import Replacement, replace_files
from warehouse.lake.sorted_files import SETTLED_PARQUET, day_rows, forget, new_file, write_sorted
from warehouse.lake.state import NO_DAY, append_states, insert, utc_now
from warehouse.lake.transaction import transaction


def drop(
    lake: Lake,
    table: str,
    day: date,
    plan_id: str,
    *,
    present: Partition | None = None,
    some: SomeRows | None = None,
    classes: Sequence[str] = ("",),
    run_id: str | None = None,
) -> int:
    """Take a day, or some of its rows, out of the lake because a stored plan says so, and record that in the same transaction; returns the
    rows dropped.

    The day's state becomes `dropped` under the same version, also when rows are left: nothing downstream is built again from less.
    present: the files that were archived; the day must still consist of exactly these. some, classes: the rows that go, and the classes of
    the plan (as it stores them) that they are.
    Raises RetentionError when the plan does not drop this, did so already, or the day has changed since."""
    definition = contract(table)
    before = present or partition(lake.connection, definition.storage_name, day)
    if not definition.has_day or not before.files:
        raise RetentionError(f"{table} has no day {day} to drop")
    going = some.row_count if some else before.row_count
    left = before.row_count - going

    def record() -> None:
        state = lake.states(table, [day])[day]
        planned = [_planned(lake, table, day, plan_id, state.version, rows) for rows in classes]
        dropped = {day: (state.version, "dropped", left, state.inputs, f"plan {plan_id}")}
        append_states(lake.connection, lake.memory.next_sequence(), table, dropped, run_id)
        now = utc_now(lake.connection)
        insert(lake.connection, "store.meta_retention_plans", [(*p[:9], now, *p[10:]) for p in planned])

    with lake.catalog.present():
        path = _without(lake, definition, before, some) if some and left else None
        replacement = Replacement(before, (path,) if path else (), left)
        done = replace_files(lake, [replacement], f"drop {table} {day} plan {plan_id}", within=record)
    if not done:
        forget(path)
        raise RetentionError(f"{table} {day} was written while plan {plan_id} was applied; nothing of it was dropped. Make a new plan")
    return going


def _without(lake: Lake, definition: Contract, before: Partition, some: SomeRows) -> str:
    """Write the rows of a day that are not among `some`, sorted, to a new file; returns its path."""
    path = new_file(lake, definition, before.day)
    write_sorted(lake, lake.connection, definition, day_rows(definition, before.day, condition=some.condition), path, some.values)
    return path


def drop_quarantined(lake: Lake, name: str, day: date, plan_id: str) -> int:
    """Remove the rows of a quarantine table that were set aside on a day, because a stored plan says so; returns how many went.

    Raises RetentionError when the plan does not, did so already, or rows were added to that day since."""
    where = "CAST(quarantined_at AS DATE) = ?"
    connection = lake.connection
    with lake.catalog.lock((name, MAINTENANCE)) as held, transaction(lake, [name], held, f"drop {name} {day} plan {plan_id}"):
        row = connection.execute(f"SELECT count(*) FROM {name} WHERE {where}", [day]).fetchone()
        count = int(row[0]) if row else 0
        planned = _planned(lake, name, day, plan_id, count, "")
        connection.execute(f"DELETE FROM {name} WHERE {where}", [day])
        insert(connection, "store.meta_retention_plans", [(*planned[:9], utc_now(connection), *planned[10:])])
    return count


def _planned(lake: Lake, table: str, day: date, plan_id: str, version: int, rows: str) -> tuple[object, ...]:
    """The plan's row for a day, or for a class of its rows; raises RetentionError when it does not allow a drop now."""
    found = lake.connection.execute(
        """SELECT plan_id, table_name, day, version, action, rule, row_count, bytes, planned_at, applied_at, rows,
                  cost_before, cost_after, currency
           FROM meta.retention_plans WHERE plan_id = ? AND table_name = ? AND day = ? AND coalesce(rows, '') = ?""",
        [plan_id, table, day, rows],
    ).fetchall()
    allowed = [r for r in found if r[4] in ("archive", "drop")]
    if not allowed:
        raise RetentionError(f"plan {plan_id} does not drop {table} {day}; nothing was changed")
    if any(r[9] is not None for r in allowed):
        raise RetentionError(f"plan {plan_id} was applied to {table} {day} already")
    if allowed[0][3] != version:
        raise RetentionError(f"{table} {day} has version {version} and plan {plan_id} was made for {allowed[0][3]}. Make a new plan")
    return tuple(allowed[0])


def erase(lake: Lake, table: str, day: date, condition: str, values: tuple[object, ...], *, reason: str, run_id: str | None = None) -> int:
    """Rewrite a day without the rows for which a condition over the table's columns (with `?`) is TRUE; returns how many went.

    The day's version rises, so that everything derived from it is built again without them. The old files stay until the snapshots that
    need them have expired (`tidy`). Raises LakeError when a writer came between."""
    definition = contract(table)
    before = partition(lake.connection, definition.storage_name, day)
    where = f"day = DATE '{day}' AND" if definition.has_day else ""
    row = lake.connection.execute(f"SELECT count(*) FROM {definition.full_name} WHERE {where} ({condition})", list(values)).fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return 0
    left = before.row_count - count
    state = lake.states(table, [day]).get(day)

    def record() -> None:
        version, kind = (state.version + 1, state.state) if state else (1, "unchecked")
        kind = kind if kind == "dropped" else "unchecked"
        lake.record_states(table, {day: (version, kind, left, None, reason)}, run_id)

    with lake.catalog.present():
        path = _without(lake, definition, before, SomeRows(condition, values, count)) if left else None
        done = replace_files(lake, [Replacement(before, (path,) if path else (), left)], f"erase from {table} {day}", within=record)
    if not done:
        forget(path)
        raise LakeError(f"{table} {day} was written while rows were erased from it; nothing of it was changed. Run it again")
    return count


def erase_containing(lake: Lake, name: str, column: str, value: str) -> int:
    """Remove every record of a table without days (a quarantine table, a log of the platform) in whose text a value stands; returns how
    many went. Raises LakeError when a writer came between."""
    before = partition(lake.connection, name, NO_DAY)
    condition = f"contains({identifier(column)}, ?)"
    row = lake.connection.execute(f"SELECT count(*) FROM {name} WHERE {condition}", [value]).fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return 0
    path, left = f"{lake.folder(name)}/merged_{uuid4()}.parquet" if before.row_count > count else None, before.row_count - count
    with lake.catalog.present():
        if path is not None:
            lake.connection.execute(f"COPY (FROM {name} WHERE {condition} IS NOT TRUE) TO {literal(path)} ({SETTLED_PARQUET})", [value])
        done = replace_files(lake, [Replacement(before, (path,) if path else (), left)], f"erase from {name}")
    if not done:
        forget(path)
        raise LakeError(f"{name} was written while rows were erased from it; nothing of it was changed. Run it again")
    return count
