"""The lake's face: open it, land units, replace slices, upsert, ask for states, keep it tidy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa

from warehouse.contracts import contract
from warehouse.errors import LakeError
from warehouse.lake.catalog import Catalog, attach, migrate
from warehouse.lake.connection import scratch
from warehouse.lake.identity import batch_id
from warehouse.lake.memory import Memory, News
from warehouse.lake.optional import ensure_optional
from warehouse.lake.space import refuse_full
from warehouse.lake.state import USABLE, DayState, LakeKnowledge, append_states, insert
from warehouse.lake.transaction import transaction
from warehouse.lake.unit import Part, Rows, Slice, Unit
from warehouse.lake.work import Landed, Work
from warehouse.settings import Settings


class Lake:
    """An attached lake. One per process and thread; `connection` has the lake in use, so `raw.logs` is a table.

    step is called with the name of every step of a commit; fault tests stop the process there."""

    def __init__(self, settings: Settings, connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
        self.settings, self.connection, self.catalog = settings, connection, catalog
        self.step: Callable[[str], None] = lambda _name: None
        self.memory = Memory(connection, self.snapshot)
        self._folders: dict[str, str] = {}

    @classmethod
    def open(cls, settings: Settings, *, read_only: bool = False) -> Lake:
        """Attach the lake of a configuration, creating it and what its contracts name. Raises LakeError."""
        connection, catalog = attach(settings, read_only=read_only)
        if not read_only:
            migrate(connection, catalog)
            ensure_optional(connection, lambda: catalog.lock(("catalog",)))
        return cls(settings, connection, catalog)

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what was committed is safe whether or not this is reached."""
        self.connection.close()

    def work(self, *, batch_id: str, source: str, origin: str, run_id: str | None = None, allow_shrink: bool = False) -> Work:
        """A unit of work for callers that stage several tables themselves; `land` and `replace_slice` do it for the usual cases."""
        return Work(self, batch_id=batch_id, source=source, origin=origin, run_id=run_id, allow_shrink=allow_shrink, step=self.step)

    def land(self, unit: Unit, *, run_id: str | None = None, allow_shrink: bool = False) -> Landed:
        """Read a unit and commit it: replacing its slice, appending once, or upserting, as its tables and slice say.

        Raises SourceError, ContractError or ShrunkSourceError; the lake is then as it was."""
        if unit.identify is None and self.memory.of(unit.source).has(unit.batch_id):
            return Landed(unit.batch_id, already=True)
        work = Work(
            self,
            batch_id=unit.batch_id,
            source=unit.source,
            origin=unit.origin,
            supersedes=unit.supersedes,
            offset=unit.offset,
            digest=unit.digest,
            bytes_read=unit.bytes_read,
            allow_shrink=allow_shrink,
            run_id=run_id,
            step=self.step,
        )
        connection = scratch(self.settings.lake)
        try:
            for part in unit.open(connection):
                if unit.identify is not None and not work.batch_id:
                    work.batch_id, work.digest = unit.identify()
                refuse_full(self.settings.lake, self.catalog.data_path)
                self._stage_part(work, unit, part, connection)
            return work.commit()
        except BaseException:
            work.discard()
            raise
        finally:
            connection.close()

    def _stage_part(self, work: Work, unit: Unit, part: Part, connection: duckdb.DuckDBPyConnection) -> None:
        if part.rejects:
            work.reject(part.table, part.rows, connection=connection)
        elif contract(part.table).shape in ("entity", "snapshot"):
            work.upsert(part.table, part.rows, connection=connection)
        elif unit.slice is not None or unit.scope is not None:
            work.replace_slice(part.table, unit.slice, part.rows, connection=connection, scope=unit.scope, held=part.held)
        else:
            work.append_once(part.table, part.rows, connection=connection, held=part.held)
        if part.collapsed:
            work.count_collapsed(part.table, part.collapsed)

    def replace_slice(
        self,
        table: str,
        days: Slice | None,
        rows: Rows | str,
        *,
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[date, str] | None = None,
        run_id: str | None = None,
    ) -> Landed:
        """Replace the days of a derived table by the result of a SELECT (named parameters are bound) or by Arrow rows.

        inputs: fingerprint of the input versions per day; every day named here gets a state even when it has no rows."""
        refuse_full(self.settings.lake, self.catalog.data_path)
        key = batch_id("derived", table, str(days), "/".join(f"{d}:{v}" for d, v in sorted((inputs or {}).items())), _nonce(self))
        work = self.work(batch_id=key, source=table, origin=f"{table} {days or 'whole'}", run_id=run_id)
        try:
            work.replace_slice(table, days, rows, parameters=parameters, inputs=inputs)
            return work.commit()
        except BaseException:
            work.discard()
            raise

    def append_log(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Append records (in the order of the contract's columns) to one of the platform's own logs."""
        definition = contract(table)
        if definition.shape != "log":
            raise LakeError(f"{table} is not a log")
        if not rows:
            return
        with self.catalog.lock((table,)) as held:
            with transaction(self, [definition.storage_name], held, table):
                insert(self.connection, definition.storage_name, rows)
            self.memory.committed(News())

    def set_states(
        self,
        table: str,
        states: Mapping[date, tuple[str, str | None]],
        *,
        versions: Mapping[date, int] | None = None,
        run_id: str | None = None,
    ) -> None:
        """Record that days passed, are blocked or were waved through: day -> (state, reason). Versions stay.

        versions: what was judged; days that were written since are left as they are. Raises LakeError when a day has no version yet."""
        with self.catalog.lock((table,)) as held:
            with transaction(self, [], held, f"states of {table}"):
                before = self.states(table, states)
                missing = set(states) - set(before)
                if missing:
                    raise LakeError(f"{table} has no data for {', '.join(map(str, sorted(missing)))}")
                rows = {
                    day: (before[day].version, state, before[day].row_count, before[day].inputs, reason)
                    for day, (state, reason) in states.items()
                    if versions is None or versions[day] == before[day].version
                }
                news = self.record_states(table, rows, run_id)
            if news:  # without any there is no snapshot
                self.memory.committed(News(states={table: news}))

    def record_states(
        self, table: str, states: Mapping[date, tuple[int, str, int, str | None, str | None]], run_id: str | None
    ) -> dict[date, DayState]:
        """Record (version, state, row_count, inputs, reason) per day inside the open transaction; the states from its commit on."""
        return append_states(self.connection, self.memory.next_sequence(), table, states, run_id)

    def states(self, table: str, days: Iterable[date] | None = None) -> dict[date, DayState]:
        """Latest state per day, of all days or of those given."""
        known = self.memory.states().get(table, {})
        return dict(known) if days is None else {day: known[day] for day in days if day in known}

    def snapshot(self) -> int:
        """The newest snapshot of the lake, whoever committed it."""
        row = self.connection.execute("SELECT max(snapshot_id) FROM __ducklake_metadata_lake.ducklake_snapshot").fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def usable_days(self, table: str) -> set[date]:
        """Days that downstream and publishing may read."""
        return {day for day, state in self.states(table).items() if state.state in USABLE}

    def known(self, source: str) -> LakeKnowledge:
        """What is in the lake of a source, as of now."""
        return LakeKnowledge(self.connection, source)

    def query(self, sql: str, parameters: Mapping[str, object] | Sequence[object] | None = None) -> pa.Table:
        """Run a SELECT and return Arrow; for callers inside Lakebed, not for untrusted text."""
        return self.connection.execute(sql, parameters).to_arrow_table()

    def folder(self, storage_name: str) -> str:
        """Where the files of a table lie."""
        if storage_name not in self._folders:
            schema, _, table = storage_name.partition(".")
            row = self.connection.execute(
                """SELECT s.path, s.path_is_relative, t.path, t.path_is_relative
                   FROM __ducklake_metadata_lake.ducklake_table AS t
                   JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
                   WHERE s.schema_name = ? AND t.table_name = ? AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL""",
                [schema, table],
            ).fetchone()
            if row is None:
                raise LakeError(f"the lake has no table {storage_name}")
            base = row[0] if not row[1] else self.catalog.data_path + row[0]
            self._folders[storage_name] = row[2] if not row[3] else base + row[2]
        return self._folders[storage_name].rstrip("/")

    def register(self, storage_name: str, paths: Sequence[str], *, hive: bool) -> None:
        """Make files part of a table, inside the open transaction. Raises LakeError when one is registered already."""
        if not paths:
            return
        schema, _, table = storage_name.partition(".")
        folder = self.folder(storage_name) + "/"
        names = [p.removeprefix(folder) for p in paths]
        again = self.connection.execute(
            "SELECT path FROM __ducklake_metadata_lake.ducklake_data_file WHERE list_contains(?, path) LIMIT 1", [[*names, *paths]]
        ).fetchone()
        if again is not None or len(set(paths)) < len(paths):
            raise LakeError(f"{again[0] if again else paths} is part of {storage_name} already; nothing was registered")
        self.connection.execute(
            f"CALL ducklake_add_data_files('lake', ?, ?, schema => ?, hive_partitioning => {str(hive).lower()}, allow_missing => true)",
            [table, list(paths), schema],
        )

    @property
    def data_folder(self) -> Path | None:
        """The data path when it is a local folder."""
        return None if "://" in self.catalog.data_path else Path(self.catalog.data_path)


def _nonce(lake: Lake) -> str:
    """A derived slice may be computed again from equal inputs (a changed model): every computation is a batch of its own."""
    row = lake.connection.execute("SELECT CAST(uuid() AS VARCHAR)").fetchone()
    assert row is not None
    return str(row[0])
