"""Restore drills: a backup that was never restored is a hope. Random bundles, and the newest backup of the catalog, are restored and
compared, and it is written down."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from uuid import uuid4

from warehouse.archive.backup import Backup, check_copy, list_backups, opened
from warehouse.archive.records import Bundle, active_bundles, finish_interrupted, recorded_bundles
from warehouse.archive.restoring import load_day
from warehouse.archive.storage import Storage, storage_of
from warehouse.contracts import contract
from warehouse.errors import ArchiveError
from warehouse.lake.connection import scratch
from warehouse.lake.lake import Lake
from warehouse.lake.state import utc_now

OVERDUE = timedelta(days=8)
CATALOG_TABLE = "the catalog"
BYTES_PER_GB = 10**9


@dataclass(frozen=True, slots=True)
class Drill:
    """One bundle or backup restored: whether all of it came back as sealed, and how long that took.

    table: CATALOG_TABLE for a backup, whose row_count is its newest snapshot. bytes: read from the archive; cost: for reading them, at
    `archive.read_price_per_gb`."""

    drill_id: str
    bundle_id: str
    table: str
    day: date
    row_count: int
    bytes: int
    duration_s: float
    equal: bool
    details: str | None
    drilled_at: datetime
    cost: float
    currency: str


def drill(lake: Lake, *, sample: int = 3, seed: int | None = None, progress: Callable[[str], None] = lambda _message: None) -> list[Drill]:
    """Restore up to `sample` random bundles, and the newest backup of the catalog, into nowhere and record the results in
    meta.restore_drills. Nothing sealed: an empty list."""
    storage = storage_of(lake)
    finish_interrupted(lake, storage)
    bundles = active_bundles(recorded_bundles(lake))
    chosen = random.Random(seed).sample(bundles, min(sample, len(bundles)))  # noqa: S311 - a sample, not a secret
    drills = []
    for bundle in chosen:
        progress(f"restore {bundle.table} {bundle.day}")
        restore = partial(_rows, lake, storage, bundle)
        drills.append(_restored(lake, bundle.bundle_id, bundle.table, bundle.day, bundle.bytes, restore))
    for backup in list_backups(storage)[-1:]:
        progress(f"restore the catalog of {backup.taken_at}")
        taken = datetime.fromisoformat(backup.taken_at).date()
        drills.append(_restored(lake, backup.backup_id, CATALOG_TABLE, taken, backup.bytes, partial(_snapshot, storage, backup)))
    lake.append_log(
        "meta.restore_drills",
        [
            (d.drill_id, d.bundle_id, d.row_count, d.bytes, d.duration_s, d.equal, d.details, d.drilled_at, d.cost, d.currency)
            for d in drills
        ],
    )
    return drills


def _restored(lake: Lake, bundle_id: str, table: str, day: date, size: int, restore: Callable[[], int]) -> Drill:
    started, rows, details = time.monotonic(), 0, None
    try:
        rows = restore()
    except ArchiveError as error:
        details = str(error)
    seconds, settings = time.monotonic() - started, lake.settings.archive
    cost = size / BYTES_PER_GB * settings.read_price_per_gb
    now = utc_now(lake.connection)
    return Drill(uuid4().hex[:12], bundle_id, table, day, rows, size, seconds, details is None, details, now, cost, settings.currency)


def _rows(lake: Lake, storage: Storage, bundle: Bundle) -> int:
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage, contract(bundle.table), [bundle])
        row = connection.execute("SELECT count(*) FROM restored").fetchone()
        return int(row[0]) if row else 0


def _snapshot(storage: Storage, backup: Backup) -> int:
    with opened(storage, backup) as copy:
        found = check_copy(backup.kind, copy)
    if backup.kind == "sqlite" and found != backup.snapshot:
        raise ArchiveError(f"{backup.path} ends with snapshot {found}; it was taken at {backup.snapshot}")
    return backup.snapshot


def drill_problem(lake: Lake) -> str | None:
    """Why restores are in doubt: the last drill differed, or none was tried for 8 days though there are bundles. None: all is well."""
    rows = lake.connection.execute(
        """SELECT equal, details, drilled_at FROM meta.restore_drills
           QUALIFY drilled_at >= max(drilled_at) OVER () - INTERVAL 1 HOUR ORDER BY equal, drilled_at"""
    ).fetchall()
    if rows and not rows[0][0]:
        return f"the last drill differed: {rows[0][1]}"
    oldest = lake.connection.execute("SELECT min(sealed_at) FROM meta.archive_bundles").fetchone()
    if oldest is None or oldest[0] is None:
        return None
    since = max((r[2] for r in rows), default=oldest[0])
    late = utc_now(lake.connection) - since
    return f"no restore was tried for {late.days} days; run `lakebed archive drill`" if late > OVERDUE else None
