"""Puts what the configuration says about services, limits and prices where SQL can read it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from warehouse.contracts import contract
from warehouse.lake.lake import Lake
from warehouse.settings import Settings

TABLES = ("meta.service_map", "meta.capacity_limits", "meta.prices")


def seed(lake: Lake, settings: Settings, *, run_id: str | None = None) -> list[str]:
    """Bring meta.service_map, meta.capacity_limits and meta.prices to the configuration; returns the tables that changed.

    A change re-opens the days of every table that reads them."""
    rows: dict[str, list[tuple[object, ...]]] = {
        "meta.service_map": [(i, r.pattern, r.service, r.team) for i, r in enumerate(settings.service_map)],
        "meta.capacity_limits": [
            (
                i,
                r.kind,
                r.usage_metric,
                list(r.usage_labels.items()),
                r.limit_metric,
                r.limit_label,
                r.limit_value,
                r.unit,
                r.lead_time_days,
                r.resource_label,
            )
            for i, r in enumerate(settings.capacity)
        ],
        "meta.prices": [(i, r.kind, r.pattern, r.unit_price, r.unit, r.currency) for i, r in enumerate(settings.price)],
    }
    return [table for table in TABLES if _replace_if_changed(lake, table, rows[table], run_id)]


def _replace_if_changed(lake: Lake, table: str, rows: Sequence[tuple[object, ...]], run_id: str | None) -> bool:
    definition = contract(table)
    schema = lake.query(f"SELECT {', '.join(definition.column_names)} FROM {table} LIMIT 0").schema
    wanted = pa.table(
        [pa.array([row[i] for row in rows], type=kind.type) for i, kind in enumerate(schema)],
        names=list(definition.column_names),
    )
    present = lake.query(f"SELECT {', '.join(definition.column_names)} FROM {table} ORDER BY rank")
    if present.to_pylist() == wanted.to_pylist():
        return False
    lake.replace_slice(table, None, wanted.to_reader(), run_id=run_id)
    return True
