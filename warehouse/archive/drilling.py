"""Restore drills: a backup that was never restored is a hope. Random bundles are restored, compared row for row, and it is written down."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import uuid4

from warehouse.archive.records import Bundle, active_bundles, finish_interrupted, recorded_bundles
from warehouse.archive.restoring import load_day
from warehouse.archive.storage import Storage, storage_of
from warehouse.contracts import contract
from warehouse.errors import ArchiveError
from warehouse.lake.connection import scratch
from warehouse.lake.lake import Lake
from warehouse.lake.state import utc_now

OVERDUE = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Drill:
    """One bundle restored: whether all its rows came back as sealed, and how long that took. bytes: read from the archive."""

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


def drill(lake: Lake, *, sample: int = 3, seed: int | None = None, progress: Callable[[str], None] = lambda _message: None) -> list[Drill]:
    """Restore up to `sample` random bundles into nowhere and record the results in meta.restore_drills. No bundles: an empty list."""
    storage = storage_of(lake)
    finish_interrupted(lake, storage)
    bundles = active_bundles(recorded_bundles(lake))
    chosen = random.Random(seed).sample(bundles, min(sample, len(bundles)))  # noqa: S311 - a sample, not a secret
    drills = []
    for bundle in chosen:
        progress(f"restore {bundle.table} {bundle.day}")
        drills.append(_restore(lake, storage, bundle))
    lake.append_log(
        "meta.restore_drills",
        [(d.drill_id, d.bundle_id, d.row_count, d.bytes, d.duration_s, d.equal, d.details, d.drilled_at) for d in drills],
    )
    return drills


def _restore(lake: Lake, storage: Storage, bundle: Bundle) -> Drill:
    started, rows, details = time.monotonic(), 0, None
    try:
        with scratch(lake.settings.lake) as connection:
            load_day(connection, storage, contract(bundle.table), [bundle])
            row = connection.execute("SELECT count(*) FROM restored").fetchone()
            rows = int(row[0]) if row else 0
    except ArchiveError as error:
        details = str(error)
    seconds = time.monotonic() - started
    now = utc_now(lake.connection)
    return Drill(uuid4().hex[:12], bundle.bundle_id, bundle.table, bundle.day, rows, bundle.bytes, seconds, details is None, details, now)


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
