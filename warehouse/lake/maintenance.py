"""Keeping the lake small and clean: logs are pruned and merged, old snapshots and what only they need go, and so do the files of writers
that died. Ways in which maintenance changes the rows of a table's day are in `rewriting`, `replacing` and `removal`.

Nothing that is younger than a day is touched: a reader may still need it, a writer may be about to register it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from warehouse.errors import LakeError
from warehouse.lake.catalog import MAINTENANCE, PATIENCE_S
from warehouse.lake.connection import sweep_spills
from warehouse.lake.lake import Lake
from warehouse.lake.logs import merge_scattered, prune_logs

GRACE = timedelta(hours=24)


@dataclass(slots=True)
class Tidied:
    """What was tidied: records of logs that nothing needs any more, logs merged, snapshots expired, files removed because no snapshot needs
    them, and orphans of dead writers. orphans_left: files that look like it and stayed, because writers were at work all the time."""

    pruned_records: int = 0
    merged_logs: int = 0
    expired_snapshots: int = 0
    removed_files: int = 0
    removed_orphans: int = 0
    orphans_left: int = 0


def tidy(lake: Lake, *, patience_s: float = PATIENCE_S) -> Tidied:
    """Prune logs, merge their small files and those of quarantine; expire snapshots and remove unneeded files, orphans and what dead
    processes spilled, all over 24 h old. Orphans go in a moment without writers, which is waited for so many seconds.

    Raises LakeError when the archive lies under the data path, where its files would look like orphans, or while the catalog is being
    brought back, because then files of the lake look like orphans, too."""
    refuse_shared_folder(lake)
    _refuse_recovering(lake)
    tidied = Tidied(pruned_records=prune_logs(lake))
    tidied.merged_logs = merge_scattered(lake)
    with lake.catalog.lock((MAINTENANCE,)):
        _refuse_recovering(lake)
        lake.step("maintenance")
        tidied.expired_snapshots = _expire_snapshots(lake.connection)
        tidied.removed_files = _remove_unneeded(lake.connection)
    tidied.removed_orphans, tidied.orphans_left = _sweep_orphans(lake, patience_s)
    sweep_spills(lake.settings.lake, older_than_s=GRACE.total_seconds())
    return tidied


def refuse_shared_folder(lake: Lake) -> None:
    """The orphan clean-up takes every Parquet file under the data path: nothing else may keep its files there."""
    archive = lake.settings.resolve(lake.settings.archive.path).rstrip("/") + "/"
    if archive.startswith(lake.catalog.data_path) or lake.catalog.data_path.startswith(archive):
        raise LakeError(
            f"archive.path {archive} and lake.path {lake.catalog.data_path} lie within each other; give the archive a folder of its own"
        )


def _refuse_recovering(lake: Lake) -> None:
    marker = lake.catalog.recovering
    if marker is not None and marker.exists():
        raise LakeError(f"bringing back the catalog was not finished ({marker} is there); `lakebed doctor --repair` goes on with it")


def _expire_snapshots(connection: duckdb.DuckDBPyConnection) -> int:
    """Snapshots of which the next one is over a day old: until then readers began on them, however old they are themselves.

    They are named, because DuckLake compares times in a SQLite catalog as text: `older_than` an hour took ones of this minute. A snapshot
    is no older than any before it, whatever a clock that was set back said; one of the future was stamped by a clock that was wrong."""
    rows = connection.execute(
        """WITH stamped AS (
               SELECT snapshot_id, CAST(snapshot_time AS TIMESTAMPTZ) AS stamp FROM __ducklake_metadata_lake.ducklake_snapshot),
           known AS (
               SELECT snapshot_id, CASE WHEN stamp <= now() THEN stamp END AS stamp FROM stamped),
           followed AS (
               SELECT snapshot_id, max(stamp) OVER (ORDER BY snapshot_id) AS begun,
                   first_value(stamp IGNORE NULLS) OVER (ORDER BY snapshot_id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next
               FROM known)
           SELECT snapshot_id FROM followed WHERE next IS NOT NULL AND greatest(begun, next) < now() - ?""",
        [GRACE],
    ).fetchall()
    if rows:
        connection.execute("CALL ducklake_expire_snapshots('lake', versions => ?)", [[r[0] for r in rows]])
    return len(rows)


def _remove_unneeded(connection: duckdb.DuckDBPyConnection) -> int:
    """Remove files that expired snapshots alone needed, from the second midnight after. Compared as text or as times, that is the same."""
    row = connection.execute("SELECT date_trunc('day', now() - ?) - INTERVAL 1 MICROSECOND", [GRACE]).fetchone()
    return _removed(connection, "ducklake_cleanup_old_files", row[0] if row else None)


def _sweep_orphans(lake: Lake, patience_s: float) -> tuple[int, int]:
    """Remove Parquet files under the data path that no snapshot knows; returns how many went and how many were left.

    Their age is the file system's, and clocks are set: only when no writer is there is it sure that they are nobody's."""
    found = _orphans(lake.connection, dry_run=True)
    if not found:
        return 0, 0
    with lake.catalog.nobody_present(patience_s) as nobody:
        _refuse_recovering(lake)
        return (_orphans(lake.connection), 0) if nobody else (0, found)


def _orphans(connection: duckdb.DuckDBPyConnection, *, dry_run: bool = False) -> int:
    row = connection.execute("SELECT now() - ?", [GRACE]).fetchone()
    return _removed(connection, "ducklake_delete_orphaned_files", row[0] if row else None, dry_run=dry_run)


def _removed(connection: duckdb.DuckDBPyConnection, procedure: str, older_than: datetime | None, *, dry_run: bool = False) -> int:
    if older_than is None:
        return 0
    return len(connection.execute(f"CALL {procedure}('lake', older_than => ?, dry_run => ?)", [older_than, dry_run]).fetchall())
