"""Restoring: the rows of sealed days, proved equal, beside the lake (Parquet files or a DuckDB file) or back into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path

import duckdb

from warehouse.archive.parquet import open_rows, read_back, write_rows
from warehouse.archive.records import Bundle, active_bundles, finish_interrupted, read_manifest, recorded_bundles
from warehouse.archive.sealing import seal
from warehouse.archive.storage import Folder, Storage, storage_of
from warehouse.archive.views import refresh_views
from warehouse.contracts import Contract, contract
from warehouse.contracts.ddl import create_table
from warehouse.errors import ArchiveError
from warehouse.lake.connection import identifier, literal, scratch
from warehouse.lake.digest import BATCH_ROWS, Digest, rows_digest
from warehouse.lake.identity import file_digest
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import key_for
from warehouse.lake.partitions import partition
from warehouse.lake.rewriting import put_day
from warehouse.retention.rows import RowFilter, can_tell, filter_condition

RESTORED = "restored from the archive"


@dataclass(slots=True)
class Restored:
    """What came back. bytes: read from the archive."""

    table: str
    days: list[date] = field(default_factory=list)
    bundles: int = 0
    rows: int = 0
    bytes: int = 0
    paths: list[str] = field(default_factory=list)
    seconds: float = 0.0


def find_bundles(lake: Lake, table: str, first: date, last: date) -> list[Bundle]:
    """The bundles that hold a table's days, both ends included. Raises ArchiveError when there are none."""
    contract(table)
    found = active_bundles(recorded_bundles(lake), table=table, days=(first, last))
    if not found:
        raise ArchiveError(f"no bundle holds {table} between {first} and {last}; `lakebed archive list` shows what there is")
    return sorted(found, key=lambda b: b.day)


def restore(
    lake: Lake,
    table: str,
    first: date,
    last: date,
    target: Path,
    *,
    service: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Restored:
    """Restore days (both ends included) beside the lake: into a DuckDB file if `target` ends in .duckdb, else Parquet under a folder.

    service: only rows of this service, as it came or as [[service_map]] calls it, `*` and `?` allowed (by column or, for metrics, by the
    labels of the series in the lake).
    Raises ArchiveError when a bundle is damaged (nothing of that day is written), or the target is the lake or has the rows already."""
    started = time.monotonic()
    storage, definition = storage_of(lake), contract(table)
    finish_interrupted(lake, storage, table)
    _refuse_target(lake, storage, target)
    result = Restored(table)
    with scratch(lake.settings.lake) as connection:
        for day, group in groupby(find_bundles(lake, table, first, last), key=lambda b: b.day):
            bundles = list(group)
            progress(f"restore {table} {day}")
            load_day(connection, storage, definition, bundles)
            if service is not None:
                _keep_service(lake, connection, definition, service)
            path = _write_day(connection, definition, day, target)
            row = connection.execute("SELECT count(*) FROM restored").fetchone()
            result.rows += int(row[0]) if row else 0
            result.paths += [path] if path not in result.paths else []
            result.days.append(day)
            result.bundles += len(bundles)
            result.bytes += sum(b.bytes for b in bundles)
    result.seconds = time.monotonic() - started
    return result


def load_day(
    connection: duckdb.DuckDBPyConnection, storage: Storage, definition: Contract, bundles: Sequence[Bundle], name: str = "restored"
) -> None:
    """Read a day's bundles into a temporary table of a scratch connection, each proved by sha256, page checksums and digest.

    bundles: as `active_bundles` orders them; of rows with one key in several of them the one of the last counts.
    Raises ArchiveError that names the rows in doubt."""
    columns = ", ".join(identifier(n) for n in definition.column_names)
    connection.execute(create_table("restoring", definition.columns).replace("CREATE TABLE", "CREATE OR REPLACE TEMP TABLE"))
    connection.execute("ALTER TABLE restoring ADD COLUMN place INTEGER")
    for place, bundle in enumerate(bundles):
        _load_bundle(connection, storage, definition, bundle, place)
    grain = ", ".join(identifier(n) for n in definition.grain)
    latest = f" QUALIFY row_number() OVER (PARTITION BY {grain} ORDER BY place DESC) = 1" if len(bundles) > 1 else ""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM restoring{latest}")
    connection.execute("DROP TABLE restoring")


def _load_bundle(connection: duckdb.DuckDBPyConnection, storage: Storage, definition: Contract, bundle: Bundle, place: int) -> None:
    manifest = read_manifest(storage, bundle)
    key = key_for(bundle.encryption, bundle.path)
    for file in manifest.files:
        where = f"{bundle.path}/{file.name}"
        lost = f"{file.rows} rows of {bundle.table} {bundle.day} cannot be restored"
        if file.name not in storage.files(bundle.path):
            raise ArchiveError(f"{where} is missing: {lost}")
        with storage.reading(where) as path:
            if file_digest(path) != file.sha256:
                raise ArchiveError(f"{where} is not what was sealed: {lost}")
            reader = open_rows(path, key)
            sealed = [c for c in definition.columns if c.name in reader.schema.names]
            casts = ", ".join(f"CAST({identifier(c.name)} AS {c.type})" for c in sealed)
            names = ", ".join(identifier(c.name) for c in sealed)
            connection.register("arriving_rows", reader)
            connection.execute(f"INSERT INTO restoring ({names}, place) SELECT {casts}, {place} FROM arriving_rows")
            connection.unregister("arriving_rows")
    there = [identifier(str(c["name"])) for c in manifest.columns]
    found = table_digest(connection, f"SELECT {', '.join(there)} FROM restoring WHERE place = {place}")
    if found != bundle.digest:
        raise ArchiveError(
            f"{bundle.path} holds {found.rows} rows that are not the {bundle.row_count} sealed of {bundle.table} {bundle.day}"
        )


def table_digest(connection: duckdb.DuckDBPyConnection, select: str) -> Digest:
    """Digest of the rows of a SELECT, as the archive counts it."""
    reader = connection.execute(select).to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        return rows_digest(cursor, reader)


def _write_day(connection: duckdb.DuckDBPyConnection, definition: Contract, day: date, target: Path) -> str:
    """Write `restored` to the target and compare what can be read there. Returns the file."""
    columns = ", ".join(identifier(n) for n in definition.column_names)
    order = ", ".join(identifier(n) for n in definition.sort_key) or "ALL"
    if target.suffix == ".duckdb":
        return _write_duckdb(connection, definition, day, target)
    path = target / definition.full_name / f"day={day}" / "restored.parquet"
    if path.exists():
        raise ArchiveError(f"{path} is there already; give another folder with --output, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = connection.execute(f"SELECT {columns} FROM restored ORDER BY {order}").to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        written = write_rows(path, reader, cursor)
        found, _ = read_back(path, cursor)
    if found != written:
        path.unlink()
        raise ArchiveError(f"{path} does not read back as the {written.rows} rows written; is the disk sound?")
    return str(path)


def _write_duckdb(connection: duckdb.DuckDBPyConnection, definition: Contract, day: date, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(identifier(n) for n in definition.column_names)
    connection.execute(f"ATTACH {literal(str(target))} AS beside")
    try:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS beside.{definition.schema}")
        name = f"beside.{definition.full_name}"
        connection.execute(create_table(name, definition.columns).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        there = connection.execute(f"SELECT 1 FROM {name} WHERE day = ? LIMIT 1", [day]).fetchone()
        if there is not None:
            raise ArchiveError(f"{target} has rows of {definition.full_name} {day} already; give another file with --output")
        connection.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM restored")
        connection.execute("CHECKPOINT beside")
        found = table_digest(connection, f"SELECT {columns} FROM {name} WHERE day = DATE '{day}'")
        if found != table_digest(connection, f"SELECT {columns} FROM restored"):
            raise ArchiveError(f"{target} does not read back as what was restored of {definition.full_name} {day}; is the disk sound?")
    finally:
        connection.execute("DETACH beside")
    return str(target)


def restore_into_lake(
    lake: Lake,
    table: str,
    first: date,
    last: date,
    *,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Restored:
    """Put sealed days (both ends included) back into the lake, one transaction each. Rows that arrived since are sealed first and stay.

    The days become `unchecked` under a new version. Place a hold on them, or retention drops them again.
    Raises ArchiveError when a day was not dropped (the lake has its rows), or a bundle is damaged."""
    started = time.monotonic()
    storage, definition = storage_of(lake), contract(table)
    finish_interrupted(lake, storage, table)
    result = Restored(table)
    days = sorted({b.day for b in find_bundles(lake, table, first, last)})
    states = lake.states(table, days)
    present = [str(day) for day in days if states[day].state != "dropped"]
    if present:
        raise ArchiveError(f"the lake has {table} {', '.join(present)}; only days that retention dropped are restored into it")
    for day in days:
        progress(f"restore {table} {day} into the lake")
        if partition(lake.connection, definition.storage_name, day).row_count:
            seal(lake, table, day, run_id=run_id)
        bundles = find_bundles(lake, table, day, day)
        with scratch(lake.settings.lake) as connection:
            load_day(connection, storage, definition, bundles)
            result.rows += put_day(lake, definition, day, connection, "restored", reason=RESTORED, run_id=run_id)
        result.days.append(day)
        result.bundles += len(bundles)
        result.bytes += sum(b.bytes for b in bundles)
    refresh_views(lake)
    result.seconds = time.monotonic() - started
    return result


def _refuse_target(lake: Lake, storage: Storage, target: Path) -> None:
    resolved = target.resolve()
    for folder in (storage.folder if isinstance(storage, Folder) else None, lake.data_folder):
        if folder is not None and resolved.is_relative_to(folder.resolve()):
            raise ArchiveError(f"--output {target} lies in {folder}, which holds Lakebed's own files; give another folder")


def _keep_service(lake: Lake, connection: duckdb.DuckDBPyConnection, definition: Contract, service: str) -> None:
    """Leave only a service's rows in `restored`: those that a retention rule for it would take."""
    rows, service_map = RowFilter(services=(service,)), lake.settings.service_map
    if not can_tell(definition, rows):
        raise ArchiveError(f"{definition.full_name} does not know services; restore it without --service")
    if "service" in definition.column_names:
        condition, values = filter_condition(definition, rows, service_map)
        connection.execute(f"DELETE FROM restored WHERE ({condition}) IS NOT TRUE", list(values))
        return
    condition, values = filter_condition(contract("raw.metric_series"), rows, service_map)
    chosen = lake.query(f"SELECT DISTINCT source, series_id FROM raw.metric_series WHERE {condition}", list(values))
    connection.register("chosen_series", chosen)
    connection.execute("DELETE FROM restored WHERE (source, series_id) NOT IN (SELECT (source, series_id) FROM chosen_series)")
    connection.unregister("chosen_series")
