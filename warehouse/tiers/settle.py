"""Hot to warm: a day that is past the hot window becomes a few sorted, dense files per table, holding exactly the rows it held before.

Rows land as they come, because sorting at ingest halves its rate; here they are put in the order of the contract's sort key, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from warehouse.contracts import CONTRACTS, Contract
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import Partition, partitions
from warehouse.lake.rewriting import DenseForm, rewrite
from warehouse.lake.state import NO_DAY, USABLE
from warehouse.tiers.encoding import logs, metrics, rollups, spans

DENSE = {
    "raw.metric_points": DenseForm("source, series_id, time", {}, metrics.encode),
    "raw.logs": DenseForm(logs.ORDER, {}, logs.encode),
    "raw.spans": DenseForm(spans.ORDER, spans.STORED, spans.encode),
    "core.metric_rollup_5m": DenseForm(rollups.ORDER, {}, rollups.encode),
    "core.metric_rollup_1h": DenseForm(rollups.ORDER, {}, rollups.encode),
}
ENTITY_FILES = 8
BATCH_DAYS = 32
BATCH_BYTES = 256 * 2**20


@dataclass(slots=True)
class Settled:
    """What settling did. Sizes in bytes; left: days that could be settled but were not (a limit was given)."""

    days: int = 0
    rows: int = 0
    files_before: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    left: int = 0
    seconds: float = 0.0


class Unsettled(NamedTuple):
    """A day to settle, and its size in bytes."""

    table: str
    day: date
    bytes: int


def unsettled(lake: Lake, *, today: date | None = None, tables: Iterable[str] | None = None) -> list[Unsettled]:
    """Days that settling would rewrite, newest first: days past the hot window that are raw or have a dense form, derived days that lie
    in several files, and tables without days that changes have scattered. Only days whose checks passed; they are not about to be written
    again."""
    newest = (today or datetime.now(UTC).date()) - timedelta(days=lake.settings.publish.raw_days)
    wanted = set(tables) if tables is not None else set(CONTRACTS)
    by_storage = {c.storage_name: c for c in CONTRACTS.values() if c.schema != "meta" and c.full_name in wanted}
    found = []
    usable: dict[str, set[date]] = {}
    for part in partitions(lake.connection, list(by_storage)):
        definition = by_storage[part.storage_name]
        if not _wants_settling(definition, part, newest):
            continue
        if definition.full_name not in usable:
            usable[definition.full_name] = {d for d, s in lake.states(definition.full_name).items() if s.state in USABLE}
        if part.day in usable[definition.full_name]:
            found.append(Unsettled(definition.full_name, part.day, part.bytes))
    return sorted(found, key=lambda u: (u.day, u.table), reverse=True)


def _wants_settling(definition: Contract, part: Partition, newest: date) -> bool:
    if part.settled:
        return False
    if part.day == NO_DAY and not definition.has_day:
        return len(part.files) + len(part.deletes) >= ENTITY_FILES
    if part.day >= newest:
        return False
    return definition.schema == "raw" or definition.encoding is not None or len(part.files) + len(part.deletes) > 1


def settle(
    lake: Lake,
    *,
    today: date | None = None,
    tables: Iterable[str] | None = None,
    limit: int | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Settled:
    """Settle every day that wants it, a batch of one table's days per transaction; running it again does nothing.

    limit: at most so many (table, day), newest first. Raises LakeError at the first batch whose sorted files would hold other rows."""
    started = time.monotonic()
    outstanding = unsettled(lake, today=today, tables=tables)
    chosen = outstanding[:limit]
    result = Settled(left=len(outstanding) - len(chosen))
    for number, (table, days) in enumerate(batches(chosen), 1):
        progress(f"settle {table} {min(days)} to {max(days)} (batch {number})")
        done = rewrite(lake, table, days, DENSE.get(table))
        result.days += done.days
        result.rows += done.rows
        result.files_before += done.files_before
        result.bytes_before += done.bytes_before
        result.bytes_after += done.bytes_after
    result.seconds = time.monotonic() - started
    return result


def batches(outstanding: Sequence[Unsettled]) -> list[tuple[str, list[date]]]:
    """Days of one table that are settled in one transaction: at most 32, and no more bytes than are written again in a moment."""
    found: list[tuple[str, list[date]]] = []
    size = 0
    for table, day, bytes_ in sorted(outstanding, key=lambda u: (u.table, -u.day.toordinal())):
        if found and found[-1][0] == table and len(found[-1][1]) < BATCH_DAYS and size + bytes_ <= BATCH_BYTES:
            found[-1][1].append(day)
            size += bytes_
        else:
            found.append((table, [day]))
            size = bytes_
    return found
