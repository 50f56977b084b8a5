"""Erasing a subject: the rows of one table in which one column has one value, from the lake, from quarantine and from every bundle.

A bundle is never changed in place. Its other rows are sealed again as a bundle that supersedes it; then its files go, and a tombstone
says so. Its manifest stays, because the chain runs through it; it holds counts and hashes, no rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa

from warehouse.archive.keys import signed, signing_key
from warehouse.archive.records import Bundle, active_bundles, finish_interrupted, read_manifest, recorded_bundles
from warehouse.archive.restoring import load_day
from warehouse.archive.sealing import day_order, write_bundle
from warehouse.archive.storage import TOMBSTONE, Storage, storage_of
from warehouse.contracts import Contract, contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.errors import ArchiveError, RetentionError
from warehouse.lake.connection import identifier, literal, scratch
from warehouse.lake.digest import BATCH_ROWS
from warehouse.lake.lake import Lake
from warehouse.lake.removal import erase, erase_quarantined
from warehouse.lake.state import NO_DAY, utc_now
from warehouse.retention.holds import placed_holds

NOTES = (
    "replaced files of the lake are deleted once the snapshots that need them are a day old and another midnight has passed (`tidy`)",
    "derived days are built again from the rows that are left by the next `lakebed run`, and warehouse.duckdb by its publication",
    "not searched: derived days whose raw day was dropped, the query log, and copies that people made (restored files, backups)",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that held rows of the subject."""

    name: str
    rows: int


@dataclass(slots=True)
class Erased:
    """Every place with the subject's rows, and what the caller must know besides."""

    places: list[Place] = field(default_factory=list)
    notes: tuple[str, ...] = NOTES


def erase_subject(
    lake: Lake,
    table: str,
    column: str,
    value: str,
    *,
    reason: str,
    do: bool = True,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Erased:
    """Erase the rows of `table` whose `column` (or key of a map column, `labels.user`) is exactly `value`; with do=False only count them.

    Interrupted erasures are completed by running them again.
    Raises RetentionError when a legal hold covers any of the rows (before anything is done), ArchiveError for a damaged bundle or a column
    that the table does not have."""
    storage, definition = storage_of(lake), contract(table)
    condition = subject_condition(definition, column)
    finish_interrupted(lake, storage)
    finish_erasures(lake, storage)
    in_lake = _count_lake(lake, definition, condition, value)
    families = [f for f in _families(recorded_bundles(lake), table) if _count_family(lake, storage, definition, f, condition, value)]
    _refuse_legal_hold(lake, table, {*in_lake, *(f[0].day for f in families)})
    result = Erased()
    for day, count in sorted(in_lake.items()):
        progress(f"lake {table} {day}")
        result.places.append(Place(f"lake {table}" + (f" {day}" if day != NO_DAY else ""), count))
        if do:
            erase(lake, table, day, condition, (value,), reason="erasure", run_id=run_id)
    for family in families:
        progress(f"archive {table} {family[0].day}")
        count = _count_family(lake, storage, definition, family, condition, value)
        result.places.append(Place(f"archive {family[0].path}", count))
        if do:
            _reseal(lake, storage, definition, family, condition, value, count, reason, run_id)
    quarantined = _count_quarantined(lake, definition, value)
    if quarantined:
        result.places.append(Place(quarantine_name(definition), quarantined))
        if do:
            erase_quarantined(lake, table, value)
    return result


def subject_condition(definition: Contract, column: str) -> str:
    """SQL condition, with one `?`, for a column or `MAPCOLUMN.KEY`. Raises ArchiveError when the table has no such column."""
    types = {c.name: c.type for c in definition.columns}
    if column in types:
        return f"CAST({identifier(column)} AS VARCHAR) = ?"
    name, dot, key = column.partition(".")
    if dot and key and types.get(name, "").startswith("MAP(VARCHAR, VARCHAR)"):
        return f"{identifier(name)}[{literal(key)}] = ?"
    raise ArchiveError(f"{definition.full_name} has no column {column!r}; its columns are {', '.join(types)} (KEY of a map as COLUMN.KEY)")


def finish_erasures(lake: Lake, storage: Storage) -> None:
    """Remove the files of bundles whose rows were sealed again for an erasure that died before it removed them."""
    chain = recorded_bundles(lake)
    by_id = {b.bundle_id: b for b in chain}
    for heir in chain:
        if heir.rows_erased is None:
            continue
        for old in heir.supersedes:
            if TOMBSTONE not in storage.files(by_id[old].path):
                _bury(lake, storage, by_id[old], heir, "erasure")


def _families(chain: Sequence[Bundle], table: str) -> list[list[Bundle]]:
    """Each active bundle of a table with the bundles that it stands for, whose files may still be there; newest first."""
    by_id = {b.bundle_id: b for b in chain}
    families = []
    for active in active_bundles(chain, table=table):
        family, outstanding = [active], list(active.supersedes)
        while outstanding:
            old = by_id[outstanding.pop()]
            if old not in family:
                family.append(old)
                outstanding += old.supersedes
        families.append(family)
    return families


def _count_lake(lake: Lake, definition: Contract, condition: str, value: str) -> dict[date, int]:
    day = "day" if definition.has_day else f"DATE '{NO_DAY}'"
    rows = lake.connection.execute(
        f"SELECT {day}, count(*) FROM {definition.storage_name} WHERE {condition} GROUP BY ALL", [value]
    ).fetchall()
    return {r[0]: int(r[1]) for r in rows}


def _count_quarantined(lake: Lake, definition: Contract, value: str) -> int:
    row = lake.connection.execute(f"SELECT count(*) FROM {quarantine_name(definition)} WHERE contains(record, ?)", [value]).fetchone()
    return int(row[0]) if row else 0


def _count_family(lake: Lake, storage: Storage, definition: Contract, family: Sequence[Bundle], condition: str, value: str) -> int:
    """The subject's rows in a bundle and in those that it stands for and that still have their files."""
    total = 0
    for bundle in family:
        if TOMBSTONE not in storage.files(bundle.path):
            with scratch(lake.settings.lake) as connection:
                load_day(connection, storage, definition, [bundle])
                row = connection.execute(f"SELECT count(*) FROM restored WHERE {condition}", [value]).fetchone()
                total += int(row[0]) if row else 0
    return total


def _refuse_legal_hold(lake: Lake, table: str, days: set[date]) -> None:
    today = utc_now(lake.connection).date()
    for held in placed_holds(lake):
        covered = [d for d in sorted(days) if held.kind == "legal" and held.covers(table, d, today)]
        if covered:
            raise RetentionError(f"{table} {covered[0]} is under {held.label}; nothing was erased. Lift it with `lakebed hold remove`")


def _reseal(
    lake: Lake,
    storage: Storage,
    definition: Contract,
    family: Sequence[Bundle],
    condition: str,
    value: str,
    count: int,
    reason: str,
    run_id: str | None,
) -> None:
    active = family[0]
    version = read_manifest(storage, active).day_version
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage, definition, [active])
        connection.execute(f"DELETE FROM restored WHERE {condition}", [value])
        heir = write_bundle(
            lake,
            storage,
            definition,
            active.day,
            lambda: _reader(connection, definition),
            version=version,
            supersedes=[b.bundle_id for b in family],
            rows_erased=count,
            run_id=run_id,
        )
    for old in family:
        _bury(lake, storage, old, heir, reason)


def _reader(connection: duckdb.DuckDBPyConnection, definition: Contract) -> pa.RecordBatchReader:
    return connection.execute(f"FROM restored {day_order(definition)}").to_arrow_reader(BATCH_ROWS)


def _bury(lake: Lake, storage: Storage, old: Bundle, heir: Bundle, reason: str) -> None:
    """The tombstone first: files that are gone without one are a loss, with one an erasure."""
    lake.step("erasing")
    document = {
        "bundle_id": old.bundle_id,
        "superseded_by": heir.bundle_id,
        "reason": reason,
        "erased_at": utc_now(lake.connection).isoformat(),
    }
    storage.write(f"{old.path}/{TOMBSTONE}", signed("tombstone", document, signing_key()))
    storage.remove([f"{old.path}/{f.name}" for f in read_manifest(storage, old).files])
