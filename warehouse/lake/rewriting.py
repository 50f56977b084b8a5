"""Maintenance's ways to write rows that are there already: `rewrite` (a day sorted and dense) and `put_day` (from the archive). Taking rows
away is `removal`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.contracts import Contract, contract
from warehouse.errors import LakeError
from warehouse.lake.connection import another, identifier, spill_folder
from warehouse.lake.digest import BATCH_ROWS, Digest
from warehouse.lake.lake import Lake
from warehouse.lake.objects import upload
from warehouse.lake.partitions import Partition, partition, partitions
from warehouse.lake.replacing import Replacement, replace_files
from warehouse.lake.sorted_files import (
    SETTLED_PARQUET,
    WITHOUT_DICTIONARIES,
    copy_sorted,
    day_digests,
    day_rows,
    days_condition,
    file_digests,
    forget,
    new_file,
    write_sorted,
)
from warehouse.lake.space import refuse_full
from warehouse.lake.state import append_states

NOT_DENSE = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    pa.ArrowTypeError,
    pa.ArrowNotImplementedError,
    pa.ArrowCapacityError,
    ValueError,
    OverflowError,
)
"""What a dense form raises for rows that it cannot hold; a plain file holds every row. What passes (a full disk, too little memory, a store
that does not answer, an interrupt) is none of these: a day that was written plainly is not tried again."""

SIDE_BY_SIDE, SMALL_DAY_BYTES = 4, 16 * 2**20
"""At most so many days are coded at the same time, each of at most so many bytes; what more would take is memory."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What rewriting days did. bytes: before and after."""

    days: int = 0
    rows: int = 0
    files_before: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


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
    written_to = lake.catalog.data_path if lake.data_folder else spill_folder(lake.settings.lake)
    refuse_full(lake.settings.lake, written_to, needed=sum(p.bytes for p in parts))
    paths: dict[date, list[str]] = {p.day: [] for p in parts}
    with lake.catalog.present():
        try:
            _write_days(lake, definition, parts, paths, dense)
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


def _write_days(
    lake: Lake, definition: Contract, parts: Sequence[Partition], paths: dict[date, list[str]], dense: DenseForm | None
) -> None:
    """Write every day, note its paths, and prove that the files hold the lake's rows, all days in one pass over each."""
    lake.step("settling")
    if dense is None:
        for day in paths:
            _write_plainly(lake, definition, day, paths[day], SETTLED_PARQUET)
    else:
        _write_all_densely(lake, definition, parts, paths, dense)
    expected = day_digests(lake, definition, f"FROM {definition.full_name} WHERE {days_condition(definition, paths)}")
    found = _readable_digests(lake, definition, paths)
    for day in paths:
        if found.get(day) != expected.get(day):
            forget(*paths[day])
            paths[day].clear()
            _write_plainly(lake, definition, day, paths[day], WITHOUT_DICTIONARIES)
    if file_digests(lake, definition, paths) != expected:
        raise LakeError(
            f"{definition.full_name}: the sorted files of {min(paths)} to {max(paths)} do not hold the lake's rows; nothing was changed"
        )
    lake.step("settled")


def _write_plainly(lake: Lake, definition: Contract, day: date, paths: list[str], options: str) -> None:
    paths.append(new_file(lake, definition, day, settled=True))
    copy_sorted(lake.connection, definition, day_rows(definition, day), paths[-1], options)


def _write_all_densely(
    lake: Lake, definition: Contract, parts: Sequence[Partition], paths: Mapping[date, list[str]], dense: DenseForm
) -> None:
    """Write days in their dense form: small ones side by side, because the coding of one day keeps one core busy, large ones in turn."""
    small = [p.day for p in parts if p.bytes <= SMALL_DAY_BYTES]
    lake.folder(definition.storage_name)  # asked for once and remembered, by the thread that owns the connection
    workers = min(lake.settings.lake.threads or os.cpu_count() or 1, SIDE_BY_SIDE)
    with ThreadPoolExecutor(workers, thread_name_prefix="settle") as pool:
        try:
            for _ in pool.map(lambda day: _write_densely(lake, definition, day, paths[day], dense), small):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for part in parts:
        if part.bytes > SMALL_DAY_BYTES:
            _write_densely(lake, definition, part.day, paths[part.day], dense)


def _write_densely(lake: Lake, definition: Contract, day: date, paths: list[str], dense: DenseForm) -> None:
    """Write a day in its dense form. What that form cannot hold (a number beyond its range) leaves no files, and the day differs.

    Object stores get finished files, which are written where DuckDB spills to."""
    made = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in dense.stored.items())
    others = f"* EXCLUDE ({', '.join(n for n in definition.column_names if n in dense.stored)}), {made}" if made else "*"
    query = f"SELECT {others} FROM (SELECT * FROM ({day_rows(definition, day)}) ORDER BY {dense.order})"
    unfinished = Path(spill_folder(lake.settings.lake))

    def new_path() -> Path:
        paths.append(new_file(lake, definition, day, settled=True))
        if lake.data_folder:
            return Path(paths[-1])
        unfinished.mkdir(parents=True, exist_ok=True)
        return unfinished / Path(paths[-1]).name

    try:
        with another(lake.connection) as rows:
            dense.write(rows.execute(query).to_arrow_reader(BATCH_ROWS), new_path)
        for path in [] if lake.data_folder else paths:
            upload(lake.settings.lake, unfinished / Path(path).name, path)
    except NOT_DENSE:
        forget(*paths)
        paths.clear()
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _readable_digests(lake: Lake, definition: Contract, paths: Mapping[date, Sequence[str]]) -> dict[date, Digest]:
    """Digests of the days whose files can be read back; one that cannot does not keep the others from being proved."""
    written = {day: files for day, files in paths.items() if files}
    try:
        return file_digests(lake, definition, written) if written else {}
    except duckdb.Error:
        if len(written) == 1:
            return {}
    return {d: digest for day in written for d, digest in _readable_digests(lake, definition, {day: written[day]}).items()}


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
