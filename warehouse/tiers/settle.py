"""Hot to warm: a day that is past the hot window becomes one sorted, dense file per table, holding exactly the rows it held before.

Rows land as they come, because sorting at ingest halves its rate; here they are put in the order of the contract's sort key, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from warehouse.contracts import CONTRACTS, Contract
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import Partition, partitions
from warehouse.lake.rewriting import rewrite
from warehouse.lake.state import NO_DAY, USABLE

ENTITY_FILES = 8


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


def unsettled(lake: Lake, *, today: date | None = None, tables: Iterable[str] | None = None) -> list[tuple[str, date]]:
    """(table, day) that settling would rewrite, newest first: raw days past the hot window, derived days that lie in several files, and
    tables without days that changes have scattered. Only days whose checks passed; they are not about to be written again."""
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
            found.append((definition.full_name, part.day))
    return sorted(found, key=lambda item: (item[1], item[0]), reverse=True)


def _wants_settling(definition: Contract, part: Partition, newest: date) -> bool:
    if part.settled:
        return False
    if part.day == NO_DAY and not definition.has_day:
        return len(part.files) + len(part.deletes) >= ENTITY_FILES
    if part.day >= newest:
        return False
    return definition.schema == "raw" or len(part.files) + len(part.deletes) > 1


def settle(
    lake: Lake,
    *,
    today: date | None = None,
    tables: Iterable[str] | None = None,
    limit: int | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Settled:
    """Settle every day that wants it, one transaction each; running it again does nothing. limit: at most so many (table, day).

    Raises LakeError at the first day whose sorted file would not hold the same rows."""
    started = time.monotonic()
    todo = unsettled(lake, today=today, tables=tables)
    result = Settled(left=max(0, len(todo) - limit) if limit is not None else 0)
    for number, (table, day) in enumerate(todo[:limit], 1):
        progress(f"settle {table} {day} ({number} of {len(todo[:limit])})")
        done = rewrite(lake, table, day)
        if done is not None:
            result.days += 1
            result.rows += done.rows
            result.files_before += done.files_before
            result.bytes_before += done.bytes_before
            result.bytes_after += done.bytes_after
    result.seconds = time.monotonic() - started
    return result
