"""Rows that fit every contract, and one way to break each of its row rules: shared by the tests of both lines of defence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from tests.lakes import DAY, at, day_slice
from warehouse.contracts import CONTRACTS, Contract
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake

Row = dict[str, Any]
TABLES = [c for c in CONTRACTS.values() if c.schema != "meta"]
OUTSIDE = at("1969-12-31 12:00")

VALID: dict[str, Row] = {
    "raw.metric_series": {"kind": "gauge", "unit": "1"},
    "raw.metric_histograms": {"bounds": [1.0, 2.0], "bucket_counts": [1, 0, 0]},
    "raw.spans": {"kind": "SERVER", "status_code": "OK", "parent_span_id": None},
    "raw.logs": {"severity": "INFO"},
    "raw.incidents": {"status": "triggered"},
    "raw.changes": {"kind": "deploy"},
    "raw.costs": {"BillingCurrency": "USD", "ChargeCategory": "Usage"},
    "mart.service_health_daily": {"error_ratio": 0.5, "latency_p50_ms": 1.0, "latency_p95_ms": 2.0, "latency_p99_ms": 2.0},
    "mart.capacity_forecasts": {"lo_95": 1.0, "lo_80": 2.0, "hi_80": 3.0, "hi_95": 3.0},
    "mart.capacity_totals": {"lo_95": 1.0, "lo_80": 2.0, "hi_80": 3.0, "hi_95": 3.0},
    "core.metric_rollup_5m": {"min": 1.0, "max": 1.0, "increase": 0.0},
    "core.metric_rollup_1h": {"min": 1.0, "max": 1.0, "increase": 0.0},
    "core.resource_usage_1h": {"used_mean": 1.0, "used_max": 1.0, "capacity": 2.0},
}
"""What a row needs beyond a value of the right type in every required column."""

BREAKS: dict[str, dict[str, Row]] = {
    "raw.metric_series": {
        "metric_name_present": {"metric_name": ""},
        "kind_known": {"kind": "guage"},
        "seen_in_order": {"first_seen": at("2030-01-01"), "last_seen": at("2029-12-31")},
    },
    "raw.metric_histograms": {"buckets_fit_bounds": {"bounds": [1.0], "bucket_counts": [1, 2, 3]}},
    "raw.spans": {
        "ids_present": {"span_id": ""},
        "duration_not_negative": {"duration_ns": -1},
        "status_known": {"status_code": "FINE"},
    },
    "raw.logs": {"severity_known": {"severity": "info"}},
    "raw.incidents": {
        "incident_id_present": {"incident_id": ""},
        "status_known": {"status": "closed"},
        "times_in_order": {"opened_time": at("2026-03-01 12:00"), "resolved_time": at("2026-03-01 11:59:59")},
    },
    "raw.changes": {"change_id_present": {"change_id": ""}, "kind_known": {"kind": "deployment"}},
    "raw.costs": {
        "currency_iso_4217": {"BillingCurrency": "XXX"},
        "charge_period_in_order": {"ChargePeriodEnd": OUTSIDE},
        "billing_period_in_order": {"BillingPeriodEnd": OUTSIDE},
        "ChargeCategory_allowed": {"ChargeCategory": "usage"},
        "ChargeClass_allowed": {"ChargeClass": "correction"},
        "ChargeFrequency_allowed": {"ChargeFrequency": "Often"},
        "CommitmentDiscountCategory_allowed": {"CommitmentDiscountCategory": "Time"},
        "CommitmentDiscountStatus_allowed": {"CommitmentDiscountStatus": "Idle"},
        "CapacityReservationStatus_allowed": {"CapacityReservationStatus": "Idle"},
        "PricingCategory_allowed": {"PricingCategory": "OnDemand"},
    },
    "core.metric_rollup_5m": {"count_positive": {"count": 0, "nonfinite_count": 0}},
    "core.metric_rollup_1h": {"count_positive": {"count": 0, "nonfinite_count": 0}},
    "core.log_rollup_1h": {"count_positive": {"log_count": 0}},
}
"""Per table and row rule the columns that make a valid row break it. Of `time_in_slice` and required columns see `breaks_of`."""


def row(table: Contract, number: int, day: date = DAY) -> Row:
    """A valid row of a day, without what the lake fills in; rows of different numbers differ in their grain and every required text."""
    start = datetime.combine(day, time())
    wanted = [c for c in table.columns if c.required and c.name not in given_by_lake(table)]
    return {c.name: _value(c.name, c.type, number, start) for c in wanted} | VALID.get(table.full_name, {})


def _value(name: str, kind: str, number: int, start: datetime) -> Any:
    values = {
        "VARCHAR": f"{name} {number}",
        "TIMESTAMP": start + timedelta(minutes=number, hours=name.endswith("End")),
        "DATE": start.date(),
        "UUID": UUID(int=number),
        "UBIGINT": number,
        "BIGINT": 1,
        "DOUBLE": 1.0,
        "BOOLEAN": True,
        "DECIMAL(38,12)": Decimal(1),
        "MAP(VARCHAR, VARCHAR)": [("number", str(number))],
        "MAP(INTEGER, BIGINT[])": [(1, [1])],
    }
    return values[kind]


def given_by_lake(table: Contract) -> set[str]:
    """Columns that the lake itself fills in, so that no row can lack them."""
    own = {"source", "batch_id"} if table.has_source else set()
    return own | ({"day"} if table.has_day and table.time_column != "day" else set())


def breaks_of(table: Contract) -> dict[str, Row]:
    """Every rule of a table's first line of defence, required columns included, with the columns that break it.

    Fails when a contract has a rule that nothing breaks, or BREAKS one that no contract has."""
    required = {f"required_{c.name}": {c.name: None} for c in table.columns if c.required and c.name not in given_by_lake(table)}
    outside: Row = {str(table.time_column): OUTSIDE.date() if table.time_column == "day" else OUTSIDE}
    known = BREAKS.get(table.full_name, {}) | ({"time_in_slice": outside} if table.has_day else {})
    assert set(known) == {r.name for r in table.row_rules}, f"row rules of {table.full_name} and what breaks them differ"
    return required | known


def reader(lake: Lake, table: Contract, rows: Sequence[Row]) -> pa.RecordBatchReader:
    """Rows as Arrow, of the columns that a writer gives."""
    schema = lake.query(f"SELECT * FROM {table.full_name} LIMIT 0").schema
    names = [n for n in table.column_names if n not in given_by_lake(table)]
    uuids = {c.name for c in table.columns if c.type == "UUID"}
    fields = [pa.field(n, pa.string() if n in uuids else schema.field(n).type) for n in names]
    texts = [{k: str(v) if isinstance(v, UUID) else v for k, v in one.items()} for one in rows]
    columns = [pa.array([one.get(f.name) for one in texts], f.type) for f in fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields)).to_reader()


def write(
    lake: Lake, table: Contract, rows: Sequence[Row], *, batch: str = "batch", days: Mapping[date, str] | None = None, **unit: Any
) -> None:
    """Write rows as they come to each kind of table: landed as a unit of source `s` (with further fields of it), or replacing the days of a
    derived table."""
    if not table.has_source:
        inputs = dict(days or {DAY: "inputs"})
        span = type(day_slice())(min(inputs), day_slice(max(inputs)).end)
        lake.replace_slice(table.full_name, span, reader(lake, table, rows), inputs=inputs)
        return

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part(table.full_name, reader(lake, table, rows))

    lake.land(Unit("s", batch, f"file {batch}", parts, **unit))
