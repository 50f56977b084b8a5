"""The platform's own logs kept small: the file that every commit adds is merged, and old records that nothing asks for are left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from warehouse.contracts import CONTRACTS
from warehouse.contracts.ddl import quarantine_name
from warehouse.lake.connection import literal
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partition, partitions
from warehouse.lake.replacing import Replacement, replace_files
from warehouse.lake.sorted_files import SETTLED_PARQUET, forget
from warehouse.lake.state import NO_DAY, utc_now

MERGE_FROM_FILES = 8
PLAN_AGE = timedelta(days=30)
"""A plan names every day of every table, and one is made every night."""
_OF_PRESENT_VERSION = "(table_name, day, version) IN (SELECT (table_name, day, version) FROM meta.day_state)"
UNNEEDED: Mapping[str, str] = {
    "meta.runs": "recorded_at < $old",
    "meta.query_log": "started_at < $old",
    "meta.check_results": f"checked_at < $old AND NOT {_OF_PRESENT_VERSION}",
    "meta.day_state": f"changed_at < $old AND NOT {_OF_PRESENT_VERSION}",
    "meta.retention_plans": "planned_at < $old AND applied_at IS NULL",
    "meta.ingest_log": "committed_at < $old AND source = table_name",
}
"""Records of logs that nothing in Lakebed asks for once they are old. What is not here is kept for ever: holds, bundles and drills are
proof, and few. Of batches only those of derived tables go: by all that were delivered the next delivery is known, also by those that were
replaced, because what they say of the ones before them holds on."""


def log_tables() -> list[str]:
    """Where the rows of the platform's logs and of quarantine are stored: tables that every commit appends a small file to."""
    logs = [c.storage_name for c in CONTRACTS.values() if c.shape == "log"]
    return logs + [quarantine_name(c) for c in CONTRACTS.values() if c.schema != "meta"]


def prune_logs(lake: Lake) -> int:
    """Leave out of the logs what is older than `upkeep.log_days` and not needed; returns how many records went."""
    now = utc_now(lake.connection)
    old = now - timedelta(days=lake.settings.upkeep.log_days)
    gone = 0
    for table, condition in UNNEEDED.items():
        before = now - PLAN_AGE if table == "meta.retention_plans" else old
        gone += without(lake, CONTRACTS[table].storage_name, condition, {"old": before})
    return gone


def without(lake: Lake, storage_name: str, condition: str, parameters: Mapping[str, object]) -> int:
    """Write a table without days again without the records for which a condition is TRUE; returns how many went: none when there are none,
    or a writer came between."""
    row = lake.connection.execute(f"SELECT count(*) FROM {storage_name} WHERE {condition}", dict(parameters)).fetchone()
    count = int(row[0]) if row else 0
    return count if count and _rewritten(lake, storage_name, condition, parameters) else 0


def merge_scattered(lake: Lake, from_files: int = MERGE_FROM_FILES) -> int:
    """Merge every log and quarantine table that lies in so many files or more; returns how many were merged."""
    parts = partitions(lake.connection, log_tables())
    return sum(merge_files(lake, part.storage_name) for part in parts if len(part.files) >= from_files)


def merge_files(lake: Lake, storage_name: str) -> bool:
    """Write the files of a table without days as one, when there are many; False when there is nothing to gain or a writer came between."""
    files = partition(lake.connection, storage_name, NO_DAY).files
    return len(files) >= MERGE_FROM_FILES and _rewritten(lake, storage_name, "FALSE", {})


def _rewritten(lake: Lake, storage_name: str, unneeded: str, parameters: Mapping[str, object]) -> bool:
    before = partition(lake.connection, storage_name, NO_DAY)
    path = f"{lake.folder(storage_name)}/merged_{uuid4()}.parquet"
    query = f"COPY (FROM {storage_name} WHERE ({unneeded}) IS NOT TRUE) TO {literal(path)} ({SETTLED_PARQUET})"
    with lake.catalog.present():
        row = lake.connection.execute(query, dict(parameters)).fetchone()
        rows = int(row[0]) if row else 0
        done = bool(replace_files(lake, [Replacement(before, (path,) if rows else (), rows)], f"merge {storage_name}"))
    if not done or not rows:
        forget(path)
    return done
