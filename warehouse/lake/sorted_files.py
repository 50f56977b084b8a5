"""Files with the sorted rows of a day that are not registered yet: where they lie, how they are written, and proof that they hold the rows
they should, bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.contracts import Contract
from warehouse.contracts.ddl import decoded
from warehouse.errors import LakeError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.digest import BATCH_ROWS, Digest, quick_digest, quick_digests
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import SETTLED, SORTED
from warehouse.lake.state import NO_DAY

SETTLED_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 524288"
WITHOUT_DICTIONARIES = f"{SETTLED_PARQUET}, DICTIONARY_SIZE_LIMIT 0"


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


def days_condition(definition: Contract, days: Collection[date]) -> str:
    """Condition for days: bounds, by which files are left out, and the days themselves."""
    if not definition.has_day:
        return "TRUE"
    named = ", ".join(f"DATE '{d}'" for d in sorted(days))
    return f"day >= DATE '{min(days)}' AND day <= DATE '{max(days)}' AND day IN ({named})"


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
            copy_sorted(connection, definition, select, path, options, values)
            if _digest(connection, f"SELECT * FROM read_parquet({literal(path)}, hive_partitioning = false)") == expected:
                lake.step("settled")
                return
        raise LakeError(f"{definition.full_name}: {path} does not hold the {expected.rows} rows it should; nothing was changed")
    except BaseException:
        forget(path)
        raise


def copy_sorted(
    connection: duckdb.DuckDBPyConnection, definition: Contract, select: str, path: str, options: str, values: tuple[object, ...] = ()
) -> None:
    """Write the rows of a SELECT (with `?` for its values) in the order of the contract's sort key, as one file."""
    order = ", ".join(identifier(n) for n in definition.sort_key if n != "day")
    connection.execute(f"COPY ({select}{f' ORDER BY {order}' if order else ''}) TO {literal(path)} ({options})", list(values))


def _digest(connection: duckdb.DuckDBPyConnection, select: str, values: tuple[object, ...] = ()) -> Digest:
    reader = connection.execute(select, list(values)).to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        return quick_digest(cursor, reader)


def file_digests(lake: Lake, definition: Contract, paths: Mapping[date, Sequence[str]]) -> dict[date, Digest]:
    """Digest of each day's rows as its files give them through the view's own SQL. Raises duckdb.Error for a file that is no Parquet."""
    files = ", ".join(literal(p) for p in chain.from_iterable(paths.values()))
    hive = "hive_partitioning = true, hive_types = {'day': DATE}" if definition.has_day else "hive_partitioning = false"
    columns = ", ".join(f"NULL::{c.type} AS {identifier(c.name)}" for c in definition.stored_columns)
    stored = f"(SELECT {columns} WHERE FALSE UNION ALL BY NAME FROM read_parquet([{files}], union_by_name = true, {hive}))"
    return day_digests(lake, definition, f"FROM ({decoded(definition, stored)})")


def day_digests(lake: Lake, definition: Contract, source: str) -> dict[date, Digest]:
    """Digest of each day's rows in a FROM clause that has the contract's columns."""
    columns = ", ".join(identifier(n) for n in definition.column_names if n != "day")
    day = "day" if definition.has_day else f"DATE '{NO_DAY}' AS day"
    reader = lake.connection.execute(f"SELECT {columns}, {day} {source}").to_arrow_reader(BATCH_ROWS)
    with lake.connection.cursor() as cursor:
        return quick_digests(cursor, reader)
