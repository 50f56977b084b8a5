"""Maintenance's ways to write rows that are there already: `rewrite` (a day sorted and dense) and `put_day` (from the archive), on one
primitive that swaps files and refuses when what it was told about is not what is there. Taking rows away is `removal`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa

from warehouse.contracts import CONTRACTS, Contract, contract
from warehouse.contracts.ddl import decoded
from warehouse.errors import LakeError
from warehouse.lake.catalog import MAINTENANCE
from warehouse.lake.connection import identifier, literal
from warehouse.lake.digest import BATCH_ROWS, Digest, quick_digest, quick_digests
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import SETTLED, SORTED, Partition, nothing, partition, partitions
from warehouse.lake.space import refuse_full
from warehouse.lake.state import NO_DAY, append_states
from warehouse.lake.transaction import transaction

SETTLED_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 524288"
NOT_DENSE = (duckdb.Error, pa.ArrowException, ValueError, OverflowError)
"""What a dense form raises for rows that it cannot hold; a plain file holds every row. A full disk is none of these."""
WITHOUT_DICTIONARIES = f"{SETTLED_PARQUET}, DICTIONARY_SIZE_LIMIT 0"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What rewriting days did. bytes: before and after."""

    days: int = 0
    rows: int = 0
    files_before: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


@dataclass(frozen=True, slots=True)
class Replacement:
    """A partition as it was seen, and what is to stand in its place: files of so many rows together, or nothing."""

    before: Partition
    paths: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class DenseForm:
    """How settled files of a table are written densely (`Contract.encoding` says how they are read).

    order: ORDER BY of the rows. stored: stored columns that are made of the contract's, by expression; the others stay as they are.
    write: gets the sorted rows without `day` and a source of new paths, returns the files."""

    order: str
    stored: Mapping[str, str]
    write: Callable[[pa.RecordBatchReader, Callable[[], Path]], list[Path]]


def rewrite(lake: Lake, table: str, days: Collection[date], dense: DenseForm | None = None) -> Rewritten:
    """Write each day (NO_DAY: a table without days) sorted into one file, or into the few files of its dense form, in one transaction.

    Rows and the days' versions stay. Left alone are days without rows, days written so already, and days that another writer came between.
    A day whose dense files would not give back its rows bit for bit is written plainly.
    Raises LakeError when the new files do not hold the same rows even so; nothing is changed then."""
    definition = contract(table)
    parts = [p for p in partitions(lake.connection, [definition.storage_name]) if p.day in days and p.files and not p.settled]
    if not parts:
        return Rewritten()
    refuse_full(lake.settings.lake, lake.catalog.data_path, needed=sum(p.bytes for p in parts))
    paths: dict[date, list[str]] = {p.day: [] for p in parts}
    with lake.catalog.present():
        try:
            _write_days(lake, definition, paths, dense if lake.data_folder else None)
        except BaseException:
            forget(*chain.from_iterable(paths.values()))
            raise
        done = replace_files(
            lake, [Replacement(p, tuple(paths[p.day]), p.row_count) for p in parts], f"settle {table} {min(paths)} {len(paths)} day(s)"
        )
    forget(*chain.from_iterable(paths[p.day] for p in parts if p not in [r.before for r in done]))
    return Rewritten(
        len(done),
        sum(r.rows for r in done),
        sum(len(r.before.files) for r in done),
        sum(r.before.bytes for r in done),
        _bytes_of(lake, done),
    )


def _bytes_of(lake: Lake, done: Sequence[Replacement]) -> int:
    days = {r.before.day for r in done}
    return sum(p.bytes for p in partitions(lake.connection, [done[0].before.storage_name]) if p.day in days) if done else 0


def _write_days(lake: Lake, definition: Contract, paths: dict[date, list[str]], dense: DenseForm | None) -> None:
    """Write every day, note its paths, and prove that the files hold the lake's rows, all days in one pass over each."""
    lake.step("settling")
    for day in paths:
        if dense is None:
            _write_plainly(lake, definition, day, paths[day], SETTLED_PARQUET)
        else:
            _write_densely(lake, definition, day, paths[day], dense)
    expected = _day_digests(lake, definition, f"FROM {definition.full_name} WHERE {_where(definition, paths)}")
    found = _readable_digests(lake, definition, paths)
    for day in paths:
        if found.get(day) != expected.get(day):
            forget(*paths[day])
            paths[day].clear()
            _write_plainly(lake, definition, day, paths[day], WITHOUT_DICTIONARIES)
    if _file_digests(lake, definition, paths) != expected:
        raise LakeError(
            f"{definition.full_name}: the sorted files of {min(paths)} to {max(paths)} do not hold the lake's rows; nothing was changed"
        )
    lake.step("settled")


def _write_plainly(lake: Lake, definition: Contract, day: date, paths: list[str], options: str) -> None:
    paths.append(new_file(lake, definition, day, settled=True))
    _copy_sorted(lake.connection, definition, day_rows(definition, day), paths[-1], options)


def _write_densely(lake: Lake, definition: Contract, day: date, paths: list[str], dense: DenseForm) -> None:
    """Write a day in its dense form. What that form cannot hold (a number beyond its range) leaves no files, and the day differs."""

    def new_path() -> Path:
        paths.append(new_file(lake, definition, day, settled=True))
        return Path(paths[-1])

    made = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in dense.stored.items())
    others = f"* EXCLUDE ({', '.join(n for n in definition.column_names if n in dense.stored)}), {made}" if made else "*"
    query = f"SELECT {others} FROM (SELECT * FROM ({day_rows(definition, day)}) ORDER BY {dense.order})"
    try:
        dense.write(lake.connection.execute(query).to_arrow_reader(BATCH_ROWS), new_path)
    except NOT_DENSE:
        forget(*paths)
        paths.clear()


def _readable_digests(lake: Lake, definition: Contract, paths: Mapping[date, Sequence[str]]) -> dict[date, Digest]:
    """Digests of the days whose files can be read back; one that cannot does not keep the others from being proved."""
    written = {day: files for day, files in paths.items() if files}
    try:
        return _file_digests(lake, definition, written) if written else {}
    except duckdb.Error:
        if len(written) == 1:
            return {}
    return {d: digest for day in written for d, digest in _readable_digests(lake, definition, {day: written[day]}).items()}


def _file_digests(lake: Lake, definition: Contract, paths: Mapping[date, Sequence[str]]) -> dict[date, Digest]:
    files = ", ".join(literal(p) for p in chain.from_iterable(paths.values()))
    hive = "hive_partitioning = true, hive_types = {'day': DATE}" if definition.has_day else "hive_partitioning = false"
    columns = ", ".join(f"NULL::{c.type} AS {identifier(c.name)}" for c in definition.stored_columns)
    stored = f"(SELECT {columns} WHERE FALSE UNION ALL BY NAME FROM read_parquet([{files}], union_by_name = true, {hive}))"
    return _day_digests(lake, definition, f"FROM ({decoded(definition, stored)})")


def _day_digests(lake: Lake, definition: Contract, source: str) -> dict[date, Digest]:
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day")
    day = "day" if definition.has_day else f"DATE '{NO_DAY}' AS day"
    reader = lake.connection.execute(f"SELECT {columns}, {day} {source}").to_arrow_reader(BATCH_ROWS)
    with lake.connection.cursor() as cursor:
        return quick_digests(cursor, reader)


def _where(definition: Contract, days: Collection[date]) -> str:
    """Condition for days: bounds, by which files are left out, and the days themselves."""
    if not definition.has_day:
        return "TRUE"
    named = ", ".join(f"DATE '{d}'" for d in sorted(days))
    return f"day >= DATE '{min(days)}' AND day <= DATE '{max(days)}' AND day IN ({named})"


def new_file(lake: Lake, definition: Contract, day: date, *, settled: bool = False) -> str:
    """A new path for sorted rows of a day, where the lake can register it.

    settled: settling has nothing left to do with it; so it is with all sorted files of tables that have no dense form."""
    folder = lake.folder(definition.storage_name) + (f"/day={day}" if definition.has_day else "")
    if "://" not in folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return f"{folder}/{SETTLED if settled or definition.encoding is None else SORTED}{uuid4()}.parquet"


def forget(*paths: str | None) -> None:
    """Delete files that were not registered (those of object stores are swept as orphans)."""
    for path in paths:
        if path is not None and "://" not in path:
            Path(path).unlink(missing_ok=True)


def day_rows(definition: Contract, day: date, *, condition: str | None = None) -> str:
    """The SELECT of a day's rows without the partition column, optionally only those for which a condition (with `?`) is not TRUE."""
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day") if definition.has_day else "*"
    where = f"day = DATE '{day}'" if definition.has_day else "TRUE"
    keep = f" AND ({condition}) IS NOT TRUE" if condition else ""
    return f"SELECT {columns} FROM {definition.full_name} WHERE {where}{keep}"


def write_sorted(
    lake: Lake, connection: duckdb.DuckDBPyConnection, definition: Contract, select: str, path: str, values: tuple[object, ...] = ()
) -> None:
    """Write the rows of a SELECT sorted, and prove that the file holds them bit for bit.

    DuckDB's dictionaries make all NaN one and 0.0 of -0.0; where that would change a row, the file is written without them."""
    lake.step("settling")
    try:
        expected = _digest(connection, select, values)
        for options in (SETTLED_PARQUET, WITHOUT_DICTIONARIES):
            _copy_sorted(connection, definition, select, path, options, values)
            if _digest(connection, f"SELECT * FROM read_parquet({literal(path)}, hive_partitioning = false)") == expected:
                lake.step("settled")
                return
        raise LakeError(f"{definition.full_name}: {path} does not hold the {expected.rows} rows it should; nothing was changed")
    except BaseException:
        forget(path)
        raise


def _copy_sorted(
    connection: duckdb.DuckDBPyConnection, definition: Contract, select: str, path: str, options: str, values: tuple[object, ...] = ()
) -> None:
    order = ", ".join(identifier(n) for n in definition.sort_key if n != "day")
    connection.execute(f"COPY ({select}{f' ORDER BY {order}' if order else ''}) TO {literal(path)} ({options})", list(values))


def _digest(connection: duckdb.DuckDBPyConnection, select: str, values: tuple[object, ...] = ()) -> Digest:
    reader = connection.execute(select, list(values)).to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        return quick_digest(cursor, reader)


def put_day(
    lake: Lake, definition: Contract, day: date, connection: duckdb.DuckDBPyConnection, name: str, *, reason: str, run_id: str | None = None
) -> int:
    """Make the rows of a table of `connection` the day's rows, in place of those that are there; returns how many.

    The day becomes `unchecked` under a new version. Raises LakeError when a writer came between."""
    before = partition(lake.connection, definition.storage_name, day)
    state = lake.states(definition.full_name, [day]).get(day)
    row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    count, path = int(row[0]) if row else 0, new_file(lake, definition, day)
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day")

    def record() -> None:
        version = state.version + 1 if state else 1
        append_states(
            lake.connection, lake.memory.next_sequence(), definition.full_name, {day: (version, "unchecked", count, None, reason)}, run_id
        )

    with lake.catalog.present():
        write_sorted(lake, connection, definition, f"SELECT {columns} FROM {name}", path)
        done = replace_files(lake, [Replacement(before, (path,), count)], f"put {definition.full_name} {day}: {reason}", within=record)
    if not done:
        forget(path)
        raise LakeError(f"{definition.full_name} {day} was written at the same time; nothing was changed. Run it again")
    return count


def replace_files(
    lake: Lake, replacements: Sequence[Replacement], message: str, *, within: Callable[[], None] = lambda: None
) -> list[Replacement]:
    """In one transaction: the files of partitions of one table out, one file (or none) for each in, and whatever `within` adds to it.

    Partitions whose files are not those of `before` any more are left alone; returned are the others. When this raises, the new files may
    be registered already: they must not be deleted (what is not registered is swept as an orphan).
    Raises LakeError when a partition would not hold the rows it should."""
    connection, name = lake.connection, replacements[0].before.storage_name
    definition = next((c for c in CONTRACTS.values() if c.storage_name == name and c.shape != "log"), None)
    with lake.catalog.lock((definition.full_name if definition else name, MAINTENANCE)) as held:
        try:
            with transaction(lake, [name], held, message):
                present = {p.day: p for p in partitions(connection, [name])}
                done = [r for r in replacements if present.get(r.before.day, nothing(name, r.before.day)) == r.before]
                if not done:
                    return []
                where = _where(definition, [r.before.day for r in done]) if definition else "TRUE"
                connection.execute(f"DELETE FROM {name} WHERE {where}")
                lake.step("replacing")
                lake.register(name, [p for r in done for p in r.paths], hive=definition is not None and definition.has_day)
                _refuse_other_rows(connection, name, where, done, message)
                within()
        except duckdb.TransactionException as error:
            if "conflict" in str(error).lower():
                return []
            raise LakeError(f"{message}: the commit to the {lake.catalog.kind} catalog failed: {error}") from error
    lake.step("replaced")
    return done


def _refuse_other_rows(connection: duckdb.DuckDBPyConnection, name: str, where: str, done: Sequence[Replacement], message: str) -> None:
    wanted = sum(r.rows for r in done)
    found = connection.execute(f"SELECT count(*) FROM {name} WHERE {where}").fetchone() if wanted else (0,)
    if found is None or found[0] != wanted:
        raise LakeError(f"{message}: {found} rows instead of {wanted}; nothing was changed")
