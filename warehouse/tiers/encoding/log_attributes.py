"""Attribute maps of log records: where few differ, as JSON, which a dictionary holds once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.lake.connection import scratch

MAP = "'\"MAP(VARCHAR, VARCHAR)\"'"
MOST_DISTINCT = 0.25


def attribute_columns(maps: Mapping[str, Any]) -> dict[str, pa.Array]:
    """For each map column, itself or NULL, and `<name>_json`.

    A map is JSON only where DuckDB reads that JSON back as the same map, keys in their order and NULL values included."""
    present = {name: values for name, values in maps.items() if values.null_count < len(values)}
    if not present:
        return {}
    result: dict[str, pa.Array] = {}
    with scratch() as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute("SET threads = 1")
        for name, values in present.items():
            texts = _as_json(connection, values)
            if texts is not None:
                result |= {name: pa.nulls(len(values), values.type), f"{name}_json": texts}
    return result


def _as_json(connection: duckdb.DuckDBPyConnection, values: Any) -> pa.Array | None:
    connection.register("maps", pa.table({"m": values}))
    try:
        distinct, count = connection.execute("SELECT count(DISTINCT to_json(m)::VARCHAR), count(m) FROM maps").fetchone() or (0, 0)
        if distinct > max(count * MOST_DISTINCT, 1):
            return None
        row = connection.execute(f"SELECT bool_and(from_json(to_json(m), {MAP}) IS NOT DISTINCT FROM m) FROM maps").fetchone()
        if row is None or not row[0]:
            return None
        return (
            connection.execute("SELECT to_json(m)::VARCHAR AS j FROM maps").to_arrow_table().column("j").combine_chunks().cast(pa.string())
        )
    except duckdb.Error:
        return None  # a map that JSON cannot say (a key twice) stays a map
    finally:
        connection.unregister("maps")
