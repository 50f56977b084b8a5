"""Columns that a settled file may lack are NULL there, and the catalog must say that they can be.

DuckLake counts NULLs from the files that have a column, so a column that every landed file fills would be taken for one without NULL, and
the optimizer would read `coalesce(column, ...)` as the column alone: NULL for every settled row. A row of NULLs that is written and
deleted once, before any other, makes the catalog's statistics say the truth, which they never unlearn. It takes two transactions: of rows
that one transaction both inserts and deletes DuckLake learns nothing. So a reader can see the row for a moment when the tables are new."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import duckdb

from warehouse.contracts import CONTRACTS, Column, Contract
from warehouse.lake.connection import identifier, literal
from warehouse.lake.state import NO_DAY

_KNOWN = """
SELECT s.schema_name || '.' || t.table_name, c.column_name
FROM __ducklake_metadata_lake.ducklake_table_column_stats AS n
JOIN __ducklake_metadata_lake.ducklake_column AS c USING (table_id, column_id)
JOIN __ducklake_metadata_lake.ducklake_table AS t USING (table_id)
JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
WHERE c.end_snapshot IS NULL AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL
  AND (n.contains_null IS NULL OR CAST(n.contains_null AS INTEGER) <> 0)"""
_FILES_OF_NO_DAY = """
SELECT DISTINCT s.schema_name || '.' || t.table_name
FROM __ducklake_metadata_lake.ducklake_file_partition_value AS v
JOIN __ducklake_metadata_lake.ducklake_data_file AS f USING (data_file_id)
JOIN __ducklake_metadata_lake.ducklake_table AS t ON t.table_id = f.table_id
JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
WHERE v.partition_value = ? AND f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL"""
MARK = "lakebed: a row of NULLs"
FILLERS = {"VARCHAR": literal(MARK), "DATE": f"DATE '{NO_DAY}'", "TIMESTAMP": f"TIMESTAMP '{NO_DAY}'", "UUID": "uuid()"}


def ensure_optional(connection: duckdb.DuckDBPyConnection, lock: Callable[[], AbstractContextManager[object]]) -> None:
    """Make the catalog's statistics of all tables with optional columns true. Does nothing where they are."""
    if not _untaught(connection) and not _marked(connection):
        return
    with lock():
        for contract in _untaught(connection):
            required = [c for c in contract.stored_columns if c.required]
            names = ", ".join(identifier(c.name) for c in required)
            values = ", ".join(FILLERS.get(c.type, f"0::{c.type}") for c in required)
            connection.execute(f"INSERT INTO {contract.storage_name} ({names}) SELECT {values}")
        for name in _marked(connection):
            connection.execute(f"DELETE FROM {name} WHERE day = DATE '{NO_DAY}' AND source = {literal(MARK)}")


def _untaught(connection: duckdb.DuckDBPyConnection) -> list[Contract]:
    """Tables with an optional column of which the catalog believes, or would come to believe, that it holds no NULL."""
    encoded = [c for c in CONTRACTS.values() if c.encoding and c.encoding.columns]
    known = set(connection.execute(_KNOWN).fetchall())
    return [
        c for c in encoded if any((c.storage_name, n.name) not in known for n in c.stored_columns if not n.required and not _is_nested(n))
    ]


def _is_nested(column: Column) -> bool:
    """Of lists, maps and structs the catalog keeps no statistics."""
    return column.type.startswith(("MAP", "STRUCT")) or column.type.endswith("[]")


def _marked(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables that hold the row of NULLs still; looked for only where there is a file of its day."""
    encoded = {c.storage_name for c in CONTRACTS.values() if c.encoding and c.encoding.columns}
    found = [name for (name,) in connection.execute(_FILES_OF_NO_DAY, [str(NO_DAY)]).fetchall() if name in encoded]
    return [
        n for n in found if connection.execute(f"SELECT 1 FROM {n} WHERE day = DATE '{NO_DAY}' AND source = {literal(MARK)}").fetchone()
    ]
