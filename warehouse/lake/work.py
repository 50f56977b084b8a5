"""A unit of work: rows are staged without a lock, then everything in it commits in one transaction or leaves no trace.

Protocol: stage; lock; BEGIN; is the batch there? what is there?; delete, register, log; COMMIT; unlock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb

from warehouse.contracts import contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.errors import LakeError
from warehouse.lake.applying import Applying, Effect, Write
from warehouse.lake.memory import Batch, News
from warehouse.lake.staging import EVER, Staged, Target, stage, stage_rejects
from warehouse.lake.state import DayState, insert, next_time, utc_now
from warehouse.lake.transaction import Written, refused, rollback
from warehouse.lake.unit import Rows, Slice
from warehouse.lake.writing import StagedFile, discard

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

MAX_ATTEMPTS = 8


@dataclass(slots=True)
class Landed:
    """What a unit of work did. `already` means that the batch was there and nothing changed."""

    batch_id: str
    already: bool = False
    tables: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    days: dict[str, set[date]] = field(default_factory=dict)


class Work:
    """Collects the writes of one batch; `commit()` makes them real.

    batch_id, source, origin, offset, digest and bytes_read go to meta.ingest_log. `step` is told the name of every step (fault tests)."""

    def __init__(
        self,
        lake: Lake,
        *,
        batch_id: str,
        source: str,
        origin: str,
        supersedes: tuple[str, ...] = (),
        offset: int | None = None,
        digest: str | None = None,
        bytes_read: int = 0,
        allow_shrink: bool = False,
        run_id: str | None = None,
        step: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.lake = lake
        self.batch_id, self.source, self.origin = batch_id, source, origin
        self.supersedes, self.offset, self.digest, self.bytes_read = supersedes, offset, digest, bytes_read
        self.allow_shrink, self.run_id, self.step = allow_shrink, run_id, step
        self.started_at = utc_now(lake.connection)
        self.writes: dict[str, Write] = {}
        self.may_be_registered = False
        self._rewritten: list[StagedFile] = []
        self._presence = ExitStack()

    def replace_slice(
        self,
        table: str,
        days: Slice | None,
        rows: Rows | str,
        *,
        connection: duckdb.DuckDBPyConnection | None = None,
        parameters: Mapping[str, object] | None = None,
        scope: tuple[str, tuple[object, ...]] | None = None,
        inputs: Mapping[date, str] | None = None,
        held: bool = False,
    ) -> None:
        """Stage rows that replace the days of a slice (or the rows within `scope`, or the whole table of a derived one without days)."""
        staged = self._stage(table, rows, connection, parameters, days if scope is None else None, held)
        self._add(Write(staged, "replace", days, scope, inputs or {}))

    def append_once(self, table: str, rows: Rows | str, *, connection: duckdb.DuckDBPyConnection | None = None, held: bool = False) -> None:
        """Stage rows of a file or push; nothing happens at commit when the batch is in the lake already."""
        self._add(Write(self._stage(table, rows, connection, None, None, held), "append"))

    def upsert(self, table: str, rows: Rows | str, *, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        """Stage rows of an entity table; at commit, new and changed ones replace what stands under their key."""
        self._add(Write(self._stage(table, rows, connection, None, None), "upsert"))

    def reject(self, table: str, rows: Rows, *, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        """Stage records that could not be turned into rows of `table`."""
        target = self._target(table)
        mode = "upsert" if contract(table).shape in ("entity", "snapshot") else "append"
        self._add(Write(stage_rejects(connection or self.lake.connection, target, rows), mode, rejects_only=True))

    def count_collapsed(self, table: str, rows: int) -> None:
        """Count rows of a table that the source read and folded into others that were staged."""
        self.writes[table].staged.rows_read += rows
        self.writes[table].staged.rows_collapsed += rows

    def commit(self) -> Landed:
        """Commit everything, or raise and leave the lake as it was. A batch that is there already is a no-op."""
        self.step("staged")
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._commit_once()
            except duckdb.TransactionException as error:
                rollback(self.lake.connection)
                again = refused(error)
                if again:  # any other failure of a COMMIT may have come after it
                    self.may_be_registered = False
                    discard(self._rewritten)
                    self._rewritten.clear()
                if attempt == MAX_ATTEMPTS or not again:
                    raise LakeError(
                        f"{self.origin}: the commit to the {self.lake.catalog.kind} catalog failed {attempt} times: {error}"
                    ) from error
                time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311 - jitter, not a secret
            except BaseException:
                rollback(self.lake.connection)
                raise
        raise AssertionError("unreachable")

    def discard(self) -> None:
        """Drop everything that was staged; not once a commit began that was not refused, for then the files may be the lake's (an interrupt
        can come after it). What no snapshot knows is swept as an orphan."""
        self._presence.close()
        if self.may_be_registered:
            return
        discard(self._rewritten)
        for write in self.writes.values():
            discard([*write.staged.files, *write.staged.rejects])

    def _target(self, table: str, days: Slice | None = None) -> Target:
        if not self.writes:
            self._presence.close()
            self._presence.enter_context(self.lake.catalog.present())
        definition = contract(table)
        return Target(
            definition,
            self.lake.folder(definition.storage_name),
            self.lake.folder(quarantine_name(definition)) if definition.schema != "meta" else "",
            self.source,
            self.batch_id,
            self.origin,
            days or EVER,
        )

    def _stage(
        self,
        table: str,
        rows: Rows | str,
        connection: duckdb.DuckDBPyConnection | None,
        parameters: Mapping[str, object] | None,
        days: Slice | None,
        held: bool = False,
    ) -> Staged:
        return stage(connection or self.lake.connection, self._target(table, days), rows, parameters, held=held)

    def _add(self, write: Write) -> None:
        name = write.staged.contract.full_name
        if name in self.writes:
            self.writes[name].staged.absorb(write.staged)
            self.writes[name].mode = self.writes[name].mode if write.rejects_only else write.mode
            self.writes[name].slice = write.slice or self.writes[name].slice
            self.writes[name].scope = write.scope or self.writes[name].scope
        else:
            self.writes[name] = write

    def _commit_once(self) -> Landed:
        connection = self.lake.connection
        with self.lake.catalog.lock(tuple(self.writes)) as held:
            self.step("locked")
            contracts = [write.staged.contract for write in self.writes.values()]
            quarantines = [quarantine_name(c) for c in contracts if c.schema != "meta"]
            written = Written(self.lake, [*(c.storage_name for c in contracts), *quarantines])
            connection.execute("BEGIN")
            self.lake.memory.states()  # before anything is written: what is remembered must be what was committed
            if self._is_there():
                connection.execute("ROLLBACK")
                self.discard()
                return Landed(self.batch_id, already=True)
            landed, news, registered = Landed(self.batch_id), News(), set[str]()
            applying = self._applying()
            for name, write in self.writes.items():
                effect = applying.apply(write)
                registered |= {f.path for f in effect.files if f.rows}
                landed.tables[name] = effect.landed
                landed.quarantined += effect.quarantined
                landed.days[name] = effect.days
                news.batches.append(self._log(name, write, effect))
                news.states[name] = self._raise_versions(name, write, effect)
            self.step("logged")
            connection.execute("CALL lake.set_commit_message(?, ?)", [self.run_id or "lakebed", f"{self.source} {self.origin}"[:500]])
            held()
            self.may_be_registered = True
            written.commit()
            if self.writes:  # without any there is no snapshot
                self.lake.memory.committed(news)
        self.step("committed")
        self._presence.close()
        self._discard_unused(registered)
        return landed

    def _is_there(self) -> bool:
        """Whether the batch is in the lake. What is derived is a batch of its own each time, so nobody need look for it."""
        delivered = any(write.staged.contract.has_source for write in self.writes.values())
        return delivered and self.lake.memory.of(self.source).has(self.batch_id)

    def _applying(self) -> Applying:
        return Applying(
            self.lake,
            self.source,
            self.origin,
            self.supersedes,
            self.allow_shrink,
            self.step,
            self._target,
            self._rewritten,
        )

    def _discard_unused(self, registered: set[str]) -> None:
        """After the commit: files whose rows came into the lake another way, or not at all."""
        staged = [f for write in self.writes.values() for f in write.staged.files]
        discard([f for f in (*staged, *self._rewritten) if f.path not in registered])
        discard([f for write in self.writes.values() for f in write.staged.rejects if not f.rows])

    def _log(self, name: str, write: Write, effect: Effect) -> Batch:
        superseded = sorted({*effect.superseded, *self.supersedes} - {self.batch_id})
        now = next_time(self.lake.connection, self.lake.memory.of(self.source).newest)
        row = (
            self.batch_id,
            self.source,
            name,
            str(write.slice) if write.slice else None,
            self.origin,
            self.offset,
            self.digest,
            write.staged.rows_read,
            effect.landed,
            effect.collapsed,
            effect.quarantined,
            self.bytes_read,
            " ".join(superseded) or None,
            self.started_at,
            now,
            self.run_id,
        )
        insert(self.lake.connection, "store.meta_ingest_log", [row])
        return Batch(self.source, self.batch_id, name, self.origin, self.offset, self.digest, tuple(superseded), now)

    def _raise_versions(self, name: str, write: Write, effect: Effect) -> dict[date, DayState]:
        """Rows that arrive for a raw day that was dropped leave it dropped: nothing is derived from a part of a day, and retention adds
        them to the archive."""
        days = set(effect.days)
        if write.mode == "replace" and write.inputs:
            days |= set(write.inputs)
        before = self.lake.states(name, days)
        states: dict[date, tuple[int, str, int, str | None, str | None]] = {}
        for day in days:
            old = before.get(day)
            count = (old.row_count if old else 0) + effect.added.get(day, 0) - effect.removed.get(day, 0)
            gone = old is not None and old.state == "dropped" and write.staged.contract.has_source
            state = "dropped" if gone else "unchecked"
            states[day] = ((old.version if old else 0) + 1, state, count, write.inputs.get(day), None)
        return self.lake.record_states(name, states, self.run_id)


def window_origin(start: datetime, end: datetime) -> str:
    """The origin of a window that was asked of a server: half-open, naive UTC."""
    return f"window:{start.isoformat()}/{end.isoformat()}"
