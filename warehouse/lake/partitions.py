"""What the lake's tables physically consist of: files per (table, day), from the catalog, without reading data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from warehouse.lake.state import NO_DAY

SETTLED, SORTED = "settled_", "sorted_"
"""How file names begin: settling has nothing left to do; sorted, but not in the dense form of its table."""
_FILES = """
SELECT s.schema_name || '.' || t.table_name AS storage_name, coalesce(CAST(v.partition_value AS DATE), ?::DATE) AS day,
       list(f.data_file_id ORDER BY f.data_file_id) AS files,
       list(d.delete_file_id ORDER BY d.delete_file_id) FILTER (d.delete_file_id IS NOT NULL) AS deletes,
       coalesce(sum(f.record_count - coalesce(d.delete_count, 0)), 0)::BIGINT AS row_count,
       coalesce(sum(f.file_size_bytes + coalesce(d.file_size_bytes, 0)), 0)::BIGINT AS bytes,
       bool_and(contains(f.path, ?) AND d.delete_file_id IS NULL) AS settled
FROM __ducklake_metadata_lake.ducklake_data_file AS f
JOIN __ducklake_metadata_lake.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lake.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_lake.ducklake_delete_file AS d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_lake.ducklake_file_partition_value AS v ON v.data_file_id = f.data_file_id
WHERE f.end_snapshot IS NULL AND (? IS NULL OR list_contains(?, s.schema_name || '.' || t.table_name))
GROUP BY ALL ORDER BY ALL"""


@dataclass(frozen=True, slots=True)
class Partition:
    """The live files of one table's day (NO_DAY: of a table without days).

    files, deletes: catalog ids; equal ids mean equal rows.
    bytes: of data and delete files. settled: every file was written by settling and no row of it was deleted since."""

    storage_name: str
    day: date
    files: tuple[int, ...]
    deletes: tuple[int, ...]
    row_count: int
    bytes: int
    settled: bool


@dataclass(frozen=True, slots=True)
class SomeRows:
    """Some rows of a partition: those for which a condition over the table's columns (with `?` for its values) is TRUE, and how many."""

    condition: str
    values: tuple[object, ...]
    row_count: int


def partitions(connection: duckdb.DuckDBPyConnection, storage_names: Sequence[str] | None = None) -> list[Partition]:
    """Every partition that has files, of the tables named by where their rows are stored (default: all), in order of table and day."""
    names = list(storage_names) if storage_names is not None else None
    rows = connection.execute(_FILES, [NO_DAY, f"/{SETTLED}", names, names]).fetchall()
    return [Partition(r[0], r[1], tuple(r[2]), tuple(r[3] or ()), int(r[4]), int(r[5]), bool(r[6])) for r in rows]


def partition(connection: duckdb.DuckDBPyConnection, storage_name: str, day: date) -> Partition:
    """One partition; without files when nothing is there."""
    found = [p for p in partitions(connection, [storage_name]) if p.day == day]
    return found[0] if found else nothing(storage_name, day)


def nothing(storage_name: str, day: date) -> Partition:
    """A partition without files."""
    return Partition(storage_name, day, (), (), 0, 0, False)
