"""What the lake says of itself, as data: tables, freshness, states of days, what failed. `lakebed.cli.data` prints it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.contracts import CONTRACTS
from warehouse.lake.state import NO_DAY

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

Row = dict[str, Any]
MAX_LISTED = 200


def tables(lake: Lake) -> list[Row]:
    """table, rows, files, bytes, days, oldest, newest of every contract, from the catalog and meta.day_state; no data is read."""
    stored = {
        f"{schema}.{table}": (rows, files, size)
        for schema, table, rows, files, size in lake.connection.execute(
            """WITH data AS (SELECT table_id, count(*) AS files, sum(record_count)::BIGINT AS n, sum(file_size_bytes)::BIGINT AS size
                              FROM __ducklake_metadata_lake.ducklake_data_file WHERE end_snapshot IS NULL GROUP BY ALL),
                     gone AS (SELECT table_id, sum(delete_count)::BIGINT AS n
                              FROM __ducklake_metadata_lake.ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY ALL)
                SELECT s.schema_name, t.table_name, coalesce(data.n, 0) - coalesce(gone.n, 0), coalesce(files, 0), coalesce(size, 0)
                FROM __ducklake_metadata_lake.ducklake_table AS t JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
                LEFT JOIN data USING (table_id) LEFT JOIN gone USING (table_id)
                WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL"""
        ).fetchall()
    }
    days = {
        table: (count, oldest, newest)
        for table, count, oldest, newest in lake.connection.execute(
            "SELECT table_name, count(*), min(day), max(day) FROM meta.day_state WHERE row_count > 0 AND day <> ? GROUP BY ALL", [NO_DAY]
        ).fetchall()
    }
    found = []
    for name, contract in CONTRACTS.items():
        rows, files, size = stored.get(contract.storage_name, (0, 0, 0))
        count, oldest, newest = days.get(name, (None, None, None)) if contract.has_day else (None, None, None)
        found.append({"table": name, "rows": rows, "files": files, "bytes": size, "days": count, "oldest": oldest, "newest": newest})
    return found


def sources(lake: Lake, now: datetime) -> list[Row]:
    """Freshness per source, of those configured and those the lake knows: last commit, its age in hours, counts, and the last problem."""
    known: dict[str, Row] = {
        name: {"source": name, "kind": s.kind, "enabled": s.enabled, "last_commit": None, "age_hours": None, "rows_landed": 0}
        | {"rows_quarantined": 0, "readable": None, "problem": None}
        for name, s in lake.settings.sources.items()
    }
    logged = lake.connection.execute(
        """SELECT source, max(committed_at), sum(rows_landed)::BIGINT, sum(rows_quarantined)::BIGINT FROM meta.ingest_log
           WHERE starts_with(table_name, 'raw.') GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    for name, last, landed, quarantined in logged:
        row = known.setdefault(name, {"source": name, "kind": None, "enabled": False, "readable": None, "problem": None})
        row |= {"last_commit": last, "age_hours": round((now - last).total_seconds() / 3600, 1)}
        row |= {"rows_landed": landed, "rows_quarantined": quarantined}
    read = lake.connection.execute(
        """SELECT substr(table_name, 8), arg_max(success, checked_at), arg_max(coalesce(details, ''), checked_at)
           FROM meta.check_results WHERE starts_with(table_name, 'source:') GROUP BY ALL"""
    ).fetchall()
    for name, success, details in read:
        if name in known:
            known[name] |= {"readable": success, "problem": None if success else details}
    return list(known.values())


def day_counts(lake: Lake) -> dict[str, dict[str, int]]:
    """Days per state, by table."""
    found: dict[str, dict[str, int]] = {}
    for table, state, count in lake.connection.execute(
        "SELECT table_name, state, count(*) FROM meta.day_state GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        found.setdefault(table, {})[state] = count
    return found


def days(lake: Lake, states: tuple[str, ...], table: str | None = None) -> list[Row]:
    """table, day, state, version, rows, reason and since of the days in some states, newest first. NULL day: a table without days."""
    rows = lake.connection.execute(
        """SELECT table_name, nullif(day, ?) AS day, state, version, row_count, reason, changed_at FROM meta.day_state
           WHERE list_contains(?, state) AND (?::VARCHAR IS NULL OR table_name = ?) ORDER BY day DESC NULLS LAST, table_name""",
        [NO_DAY, list(states), table, table],
    ).fetchall()
    return [dict(zip(("table", "day", "state", "version", "rows", "reason", "since"), row, strict=True)) for row in rows]


def failed_checks(lake: Lake) -> list[Row]:
    """Checks whose newest result for the present version of a day says no; `error` before `warn`, newest first, at most 200."""
    rows = lake.connection.execute(
        """SELECT c.table_name, c.day, c.check_name, c.severity, c.unexpected_count, c.checked_at
            FROM meta.check_results AS c JOIN meta.day_state AS d USING (table_name, day, version)
            QUALIFY row_number() OVER (PARTITION BY c.table_name, c.day, c.check_name ORDER BY c.checked_at DESC) = 1 AND NOT c.success
            ORDER BY c.severity, c.day DESC, c.table_name, c.check_name LIMIT ?""",
        [MAX_LISTED],
    ).fetchall()
    return [dict(zip(("table", "day", "check", "severity", "unexpected", "checked_at"), row, strict=True)) for row in rows]


def runs(lake: Lake, count: int = 10) -> list[Row]:
    """The last runs with their latest status."""
    rows = lake.connection.execute(
        """SELECT run_id, job, status, partitions, error, duration_s, recorded_at FROM meta.runs
           QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY recorded_at DESC) = 1 ORDER BY recorded_at DESC LIMIT ?""",
        [count],
    ).fetchall()
    return [dict(zip(("run_id", "job", "status", "partitions", "error", "duration_s", "recorded_at"), row, strict=True)) for row in rows]


def published(lake: Lake) -> Row:
    """path, published_at (UTC), bytes of the hot tier; the latter two are null before the first publication."""
    file = Path(lake.settings.resolve(lake.settings.publish.path))
    if not file.is_file():
        return {"path": str(file), "published_at": None, "bytes": None}
    facts = file.stat()
    return {"path": str(file), "published_at": datetime.fromtimestamp(facts.st_mtime, UTC).replace(tzinfo=None), "bytes": facts.st_size}


def write_lock(lake: Lake) -> Row:
    """Whether a process holds the write lock now, and which file it is; PostgreSQL has one per table, which are not asked."""
    if lake.catalog.kind != "sqlite":
        return {"held": None, "file": None}
    from filelock import FileLock, Timeout

    file = Path(f"{lake.catalog.address}.lock")
    if not file.exists() or not os.access(file, os.W_OK):
        return {"held": False if not file.exists() else None, "file": str(file)}
    try:
        with FileLock(str(file), timeout=0):
            return {"held": False, "file": str(file)}
    except Timeout:
        return {"held": True, "file": str(file)}


def disk(lake: Lake) -> Row:
    """Free and total bytes where the data is; nulls for an object store."""
    folder = lake.data_folder
    usage = shutil.disk_usage(folder) if folder and folder.exists() else None
    return {"data_path": lake.catalog.data_path, "free_bytes": usage.free if usage else None, "total_bytes": usage.total if usage else None}


def first_day(lake: Lake) -> date | None:
    """The first day that the lake answers for: configured, or of its raw data."""
    row = lake.connection.execute(
        "SELECT min(day) FROM meta.day_state WHERE day <> ? AND starts_with(table_name, 'raw.') AND row_count > 0", [NO_DAY]
    ).fetchone()
    return lake.settings.start_day or (row[0] if row else None)
