"""What a unit of work does to each table within its transaction: rows leave, staged files are registered, and what met what is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from warehouse.contracts import Contract
from warehouse.contracts.ddl import decoded, quarantine_name
from warehouse.errors import LakeError, ShrunkSourceError
from warehouse.lake.connection import identifier
from warehouse.lake.entities import upsert_entities
from warehouse.lake.staging import Staged, Target, rewrite
from warehouse.lake.state import NO_DAY
from warehouse.lake.unit import Slice
from warehouse.lake.writing import StagedFile, read_files

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

SHRINK_FACTOR = 2


@dataclass(slots=True)
class Write:
    """What is staged for one table, and how it is to meet what stands there: replace, append or upsert."""

    staged: Staged
    mode: str
    slice: Slice | None = None
    scope: tuple[str, tuple[object, ...]] | None = None
    inputs: Mapping[date, str] = field(default_factory=dict)
    rejects_only: bool = False


@dataclass(slots=True)
class Effect:
    """Change of one table within the transaction: rows added and removed per day, and the files that bring the rows."""

    added: dict[date, int] = field(default_factory=dict)
    removed: dict[date, int] = field(default_factory=dict)
    touched: set[date] = field(default_factory=set)
    landed: int = 0
    collapsed: int = 0
    quarantined: int = 0
    superseded: set[str] = field(default_factory=set)
    files: list[StagedFile] = field(default_factory=list)

    @property
    def days(self) -> set[date]:
        """Every day whose content or meaning changed."""
        return {*self.added, *self.removed, *self.touched}


@dataclass(slots=True)
class Applying:
    """Applies the writes of one attempt to commit. target: where files of a table go that are written within it (`rewritten`).

    supersedes: batches whose rows appended ones replace. allow_shrink: whether a replacement may bring less than half of what it replaces.
    step is told each step's name."""

    lake: Lake
    source: str
    origin: str
    supersedes: tuple[str, ...]
    allow_shrink: bool
    step: Callable[[str], None]
    target: Callable[[str], Target]
    rewritten: list[StagedFile]

    def apply(self, write: Write) -> Effect:
        """Bring one write about. Raises ShrunkSourceError for a replacement that is suspiciously small."""
        effect = Effect(collapsed=write.staged.rows_collapsed, quarantined=write.staged.rows_quarantined)
        if write.mode == "upsert":
            self._upsert(write, effect)
        else:
            if write.mode == "replace":
                self._delete_slice(write, effect)
            elif self.supersedes:
                self._delete(write.staged.contract, "list_contains(?, batch_id)", (list(self.supersedes),), effect)
            self.step("deleted")
            effect.files = list(write.staged.files)
            if write.mode == "append":
                self._settle_against_lake(write.staged.contract, effect)
            self._register(write.staged.contract, effect)
        self._register_rejects(write.staged)
        effect.touched |= self._days_that_lost_rows(write.staged)
        self.step("registered")
        return effect

    def _delete_slice(self, write: Write, effect: Effect) -> None:
        table = write.staged.contract
        conditions, values = ["TRUE"], list[object]()
        if write.scope is not None:
            conditions.append(f"({write.scope[0]})")
            values += write.scope[1]
        elif write.slice is not None:
            conditions.append("day >= ? AND day < ?")
            values += [write.slice.start, write.slice.end]
        elif table.has_source:
            raise LakeError(f"a replacement of {table.full_name} needs a slice or a scope")
        before = sum(effect.removed.values())
        self._delete(table, " AND ".join(conditions), tuple(values), effect)
        removed = sum(effect.removed.values()) - before
        if table.has_source and not self.allow_shrink and write.staged.rows * SHRINK_FACTOR < removed:
            raise ShrunkSourceError(
                f"{self.source}: {self.origin} now gives {write.staged.rows} rows of {table.full_name} where the lake holds {removed}; "
                f"nothing was changed. If the source really shrank, run again with --allow-shrink {self.source}"
            )

    def _delete(self, table: Contract, condition: str, values: tuple[object, ...], effect: Effect) -> None:
        """Delete rows of this source (derived tables have none) and note days and batches that lost rows."""
        where, parameters = f"({condition})", list(values)
        if table.has_source:
            where, parameters = f"source = ? AND {where}", [self.source, *parameters]
        day = "day" if table.has_day else f"DATE '{NO_DAY}'"
        batch = "batch_id" if table.has_source else "NULL"
        connection = self.lake.connection
        rows = connection.execute(
            f"SELECT {day}, {batch}, count(*) FROM {table.storage_name} WHERE {where} GROUP BY ALL HAVING count(*) > 0", parameters
        ).fetchall()
        if not rows:
            return
        connection.execute(f"DELETE FROM {table.storage_name} WHERE {where}", parameters)
        for at, batch_id, count in rows:
            effect.removed[at] = effect.removed.get(at, 0) + int(count)
            if batch_id is not None:
                effect.superseded.add(str(batch_id))

    def _settle_against_lake(self, table: Contract, effect: Effect) -> None:
        """Rows of a grain that is in the lake already: equal ones collapse, others replace what is there, which goes to quarantine."""
        days = sorted({f.day for f in effect.files if f.day is not None})
        if not table.collapse or not days or not any(s.row_count for s in self.lake.states(table.full_name, days).values()):
            return
        connection = self.lake.connection
        grain = ", ".join(identifier(n) for n in table.grain)
        content = [c for c in table.columns if c.name not in (*table.grain, "batch_id", "day")]
        equal = " AND ".join(f"o.{identifier(c.name)} IS NOT DISTINCT FROM n.{identifier(c.name)}" for c in content) or "TRUE"
        files = read_files(effect.files, hive=True)
        old = f"(SELECT * FROM {table.full_name} WHERE source = ? AND day >= ? AND day <= ?)"
        values = [self.source, days[0], days[-1]]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE meeting AS SELECT {', '.join('n.' + identifier(n) for n in table.grain)}, "
            f"n.day, o.day AS old_day, ({equal}) AS same "
            f"FROM {files} AS n JOIN {old} AS o USING ({grain})",
            values,
        )
        counts = connection.execute("SELECT count(*) FILTER (same), count(*) FILTER (NOT same) FROM meeting").fetchone()
        same, different = counts or (0, 0)
        if same:
            self._drop_known_rows(table, effect, grain)
            effect.collapsed += int(same)
        if different:
            self._quarantine_old(table, grain, effect)

    def _drop_known_rows(self, table: Contract, effect: Effect, grain: str) -> None:
        """What was staged stays as it is: should the commit be refused, it meets the lake anew."""
        days = {r[0] for r in self.lake.connection.execute("SELECT DISTINCT day FROM meeting WHERE same").fetchall()}
        affected = [f for f in effect.files if f.day in days]
        query = f"SELECT * FROM {read_files(affected, hive=True)} ANTI JOIN (FROM meeting WHERE same) USING ({grain})"
        replaced = rewrite(self.lake.connection, self.target(table.full_name), query)
        self.rewritten += replaced
        effect.files = [f for f in effect.files if f not in affected] + replaced

    def _quarantine_old(self, table: Contract, grain: str, effect: Effect) -> None:
        connection = self.lake.connection
        met = f"(FROM {table.full_name} WHERE day IN (SELECT old_day FROM meeting WHERE NOT same))"
        losers = f"SELECT o.* FROM {met} AS o SEMI JOIN (FROM meeting WHERE NOT same) AS m USING ({grain})"
        connection.execute(
            f"""INSERT INTO {quarantine_name(table)} SELECT o.source, o.batch_id, 'superseded_by_later_ingest', ?, NULL,
                left(CAST(to_json(o) AS VARCHAR), 10000), o.day, now()::TIMESTAMP FROM ({losers}) AS o""",
            [self.origin],
        )
        counts = connection.execute(f"SELECT day, count(*) FROM ({losers}) GROUP BY day").fetchall()
        columns = ", ".join(identifier(n) for n in table.grain)
        of_days = "day IN (SELECT old_day FROM meeting WHERE NOT same)"
        held = f"({decoded(table, f'{table.storage_name} WHERE {of_days}', 'rowid')})"
        connection.execute(
            f"DELETE FROM {table.storage_name} WHERE {of_days} AND rowid IN "
            f"(SELECT rowid FROM {held} WHERE ({columns}) IN (SELECT ({columns}) FROM meeting WHERE NOT same))"
        )
        for day, count in counts:
            effect.removed[day] = effect.removed.get(day, 0) + int(count)

    def _register(self, table: Contract, effect: Effect) -> None:
        files = [f for f in effect.files if f.rows]
        self.lake.register(table.storage_name, [f.path for f in files], hive=table.has_day)
        for file in files:
            day = file.day or NO_DAY
            effect.added[day] = effect.added.get(day, 0) + file.rows
        effect.landed += sum(f.rows for f in files)

    def _register_rejects(self, staged: Staged) -> None:
        self.lake.register(quarantine_name(staged.contract), [f.path for f in staged.rejects if f.rows], hive=False)

    def _days_that_lost_rows(self, staged: Staged) -> set[date]:
        """Days in the lake of which rows went to quarantine: also where none landed beside them, their checks are to see it."""
        files = [f for f in staged.rejects if f.rows]
        if not files or not staged.contract.has_day:
            return set()
        rows = self.lake.connection.execute(
            f"SELECT DISTINCT day FROM {read_files(files, hive=False)} WHERE day IS NOT NULL AND reason <> 'time_in_slice'"
        ).fetchall()
        return set(self.lake.states(staged.contract.full_name, [r[0] for r in rows]))

    def _upsert(self, write: Write, effect: Effect) -> None:
        if not write.staged.files:
            return
        swapped = upsert_entities(self.lake.connection, write.staged.contract, write.staged.files, self.source, self.origin)
        effect.added, effect.removed = swapped.added, swapped.removed
        effect.touched |= swapped.touched
        effect.landed = sum(swapped.added.values())
        effect.collapsed += write.staged.rows - effect.landed
