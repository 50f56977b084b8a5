"""Parquet files under a table's path that are not registered yet: how they are written, proven, read and dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.contracts import Contract
from warehouse.errors import LakeError
from warehouse.lake.connection import identifier, literal

PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
# Derived tables are written once: a seventh smaller with dictionaries and a higher level, and no payload of a NaN to keep.
DERIVED_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9"
# DuckDB compares values when it makes a dictionary, so that -0.0 becomes 0.0 and one NaN another: measurements are written without one.
PLAIN = "DICTIONARY_SIZE_LIMIT 0"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file under a table's path that is not registered yet. `day` is None for tables without days."""

    path: str
    rows: int
    bytes: int
    day: date | None


def copy_by_day(
    connection: duckdb.DuckDBPyConnection,
    select: str,
    folder: str,
    contract: Contract,
    parameters: Mapping[str, object] | None = None,
) -> list[StagedFile]:
    """Write a SELECT of the contract's columns, a file or more for each day; rows whose `day` is NULL go to a file without one.

    Raises LakeError when a file holds another day than that of its path."""
    if not contract.has_day:
        return copy_flat(connection, select, folder, parameters)
    _make_folder(folder)
    options = f"{_options(contract)}, PARTITION_BY (day), APPEND, FILENAME_PATTERN 'part_{{uuid}}', RETURN_STATS"
    result = connection.execute(f"COPY ({select}) TO {literal(folder)} ({options})", dict(parameters or {})).fetchall()
    files = []
    for path, count, size, _footer, statistics, keys in result:
        day = date.fromisoformat(keys["day"]) if keys and keys.get("day") else None
        if day is not None:
            _prove_day(contract, path, day, statistics)
        files.append(StagedFile(str(path), int(count), int(size), day))
    return files


def copy_each_day(
    connection: duckdb.DuckDBPyConnection, select: str, folder: str, contract: Contract, days: Sequence[date]
) -> list[StagedFile]:
    """As `copy_by_day`, with a pass over the SELECT for each of a few days: half the time where rows are held already."""
    files = []
    time = identifier(str(contract.time_column))
    columns = ", ".join(identifier(n) for n in contract.column_names if n != "day")
    for day in days:
        path = f"{folder.rstrip('/')}/day={day}"
        within = f"{time} >= TIMESTAMP '{day}' AND {time} < TIMESTAMP '{day + timedelta(days=1)}'"
        query = f"SELECT {columns} FROM ({select}) WHERE {within}"
        _make_folder(path)
        for name, count, size, _footer, statistics, _keys in _copy(connection, query, path, _options(contract)):
            _prove_day(contract, name, day, statistics)
            files.append(StagedFile(name, count, size, day))
    return files


def copy_flat(
    connection: duckdb.DuckDBPyConnection, select: str, folder: str, parameters: Mapping[str, object] | None = None
) -> list[StagedFile]:
    """Write a SELECT as one file that belongs to no day."""
    _make_folder(folder)
    return [StagedFile(name, count, size, None) for name, count, size, *_ in _copy(connection, select, folder, PARQUET, parameters)]


def discard(files: Sequence[StagedFile]) -> None:
    """Delete staged files that will not be registered (local ones; object stores are swept by the orphan clean-up)."""
    for file in files:
        if "://" not in file.path:
            Path(file.path).unlink(missing_ok=True)


def read_files(files: Sequence[StagedFile], *, hive: bool) -> str:
    """A FROM clause over staged files."""
    paths = ", ".join(literal(f.path) for f in files)
    option = "hive_partitioning = true, hive_types = {'day': DATE}" if hive else "hive_partitioning = false"
    return f"read_parquet([{paths}], {option})"


def _options(contract: Contract) -> str:
    """Texts need their dictionary, measurements must not have one."""
    if not contract.has_source:
        return DERIVED_PARQUET
    texts = [c for c in contract.columns if c.type == "VARCHAR" and c.name not in ("source", "batch_id")]
    return PARQUET if texts else f"{PARQUET}, {PLAIN}"


def _copy(
    connection: duckdb.DuckDBPyConnection, select: str, folder: str, options: str, parameters: Mapping[str, object] | None = None
) -> list[tuple[str, int, int, int, Mapping[str, Mapping[str, str]], Mapping[str, str] | None]]:
    path = f"{folder.rstrip('/')}/part_{uuid4()}.parquet"
    return connection.execute(f"COPY ({select}) TO {literal(path)} ({options}, RETURN_STATS)", dict(parameters or {})).fetchall()


def _make_folder(folder: str) -> None:
    if "://" not in folder:
        Path(folder).mkdir(parents=True, exist_ok=True)


def _prove_day(contract: Contract, path: str, day: date, statistics: Mapping[str, Mapping[str, str]]) -> None:
    """The footer's range of the time column must lie inside the day of the path."""
    time = statistics.get(f'"{contract.time_column}"')
    if contract.time_column in (None, "day") or time is None or "min" not in time:
        return
    if str(time["min"])[:10] != str(day) or str(time["max"])[:10] != str(day):
        raise LakeError(f"{path} holds {time['min']} to {time['max']}, which is not the day {day} of its path; nothing was registered")
