"""What the lake knows about itself: which batches are in it, and the version and state of every (table, day)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa

from warehouse.lake.unit import Former

NO_DAY = date(1970, 1, 1)
USABLE = ("passed", "waved")


@dataclass(frozen=True, slots=True)
class DayState:
    """One row of meta.day_state."""

    version: int
    state: str
    row_count: int
    inputs: str | None
    sequence: int


def all_day_states(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[date, DayState]]:
    """Latest state per table and day."""
    found: dict[str, dict[date, DayState]] = {}
    rows = connection.execute("SELECT table_name, day, version, state, row_count, inputs, sequence FROM meta.day_state").fetchall()
    for table, day, *state in rows:
        found.setdefault(table, {})[day] = DayState(*state)
    return found


def append_states(
    connection: duckdb.DuckDBPyConnection,
    sequence: int,
    table: str,
    states: Mapping[date, tuple[int, str, int, str | None, str | None]],
    run_id: str | None,
) -> dict[date, DayState]:
    """Record (version, state, row_count, inputs, reason) per day, under a sequence number above all former ones; the states as they are
    from the commit on. Called inside a transaction."""
    if not states:
        return {}
    now = utc_now(connection)
    rows = [(table, day, *values, now, run_id, sequence) for day, values in states.items()]
    insert(connection, "store.meta_day_state", rows)
    return {day: DayState(version, state, count, inputs, sequence) for day, (version, state, count, inputs, _) in states.items()}


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """One INSERT of all rows (executemany would write a file per row). Columns are those of the table, in order."""
    if not rows:
        return
    columns = {f"c{i}": pa.array(values) for i, values in enumerate(zip(*rows, strict=True))}
    connection.register("arriving_records", pa.table(columns))
    connection.execute(f"INSERT INTO {table} SELECT * FROM arriving_records")
    connection.unregister("arriving_records")


def utc_now(connection: duckdb.DuckDBPyConnection) -> datetime:
    """The database's clock, naive UTC."""
    row = connection.execute("SELECT now()::TIMESTAMP").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def next_time(connection: duckdb.DuckDBPyConnection, last: datetime | None) -> datetime:
    """The database's clock, but always after `last`: what is ordered by its times stays in order when the clock is set back."""
    now = utc_now(connection)
    return now if last is None or now > last else last + timedelta(microseconds=1)


def fingerprint(versions: Mapping[tuple[str, date], int]) -> str:
    """Short hash over the versions of input days: differs when any input day was written again."""
    text = "\n".join(f"{table} {day} {version}" for (table, day), version in sorted(versions.items(), key=str))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LakeKnowledge:
    """Implements `Known` for one source from meta.ingest_log, read once, and from raw.incidents, read when asked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        self._connection, self._source = connection, source
        rows = connection.execute(
            """SELECT batch_id, origin, origin_offset, origin_digest, supersedes, table_name, committed_at
               FROM meta.ingest_log WHERE source = ? ORDER BY committed_at""",
            [source],
        ).fetchall()
        self._active: dict[str, str] = {}
        self._batches: dict[str, dict[str, None]] = {}
        self._progress: dict[str, tuple[int | None, str | None]] = {}
        self._ends: dict[str, datetime] = {}
        self._sizes: set[int] = set()
        self.newest: datetime | None = None
        for batch, origin, offset, digest, supersedes, table, at in rows:
            self.take(str(batch), origin, offset, digest, (supersedes or "").split(), str(table), at)

    def take(
        self, batch: str, origin: str | None, offset: int | None, digest: str | None, superseded: Sequence[str], table: str, at: datetime
    ) -> None:
        """Learn of one more batch, in the order of commits."""
        self.newest = at
        for old in superseded:
            self._batches.get(self._active.pop(old, ""), {}).pop(old, None)
        self._active[batch] = origin or ""
        if offset is not None:
            self._sizes.add(offset)
        if origin is None:
            return
        self._batches.setdefault(origin, {})[batch] = None
        self._progress[origin] = offset, digest
        if origin.startswith("window:"):
            end = datetime.fromisoformat(origin.removeprefix("window:").partition("/")[2])
            self._ends[table] = max(end, self._ends.get(table, end))

    def has(self, batch_id: str) -> bool:
        """Whether this batch is in the lake (and was not superseded)."""
        return batch_id in self._active

    def has_size(self, size: int) -> bool:
        """Whether a batch that was ever committed covers this many bytes of its origin."""
        return size in self._sizes

    def former(self, origin: str) -> Former | None:
        """The latest committed state of this origin."""
        return Former(tuple(self._batches[origin]), *self._progress[origin]) if origin in self._progress else None

    def former_origins(self) -> Iterable[str]:
        """Every origin that `former` knows, also of files that are gone."""
        return tuple(self._progress)

    def watermark(self, table: str) -> datetime | None:
        """End of the newest committed window of `table`, naive UTC."""
        return self._ends.get(table)

    def open_incidents(self, origin: str) -> pa.Table:
        """Rows of raw.incidents (all columns but source, batch_id and day) that have no end and whose present state came
        from this origin."""
        return self._connection.execute(
            """SELECT * EXCLUDE (source, batch_id, day) FROM raw.incidents
               WHERE source = $source AND resolved_time IS NULL AND batch_id IN (
                   SELECT batch_id FROM meta.ingest_log WHERE source = $source AND origin = $origin)""",
            {"source": self._source, "origin": origin},
        ).to_arrow_table()
