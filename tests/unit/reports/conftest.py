"""A small warehouse in memory: every table that a report reads, as the contracts have it, empty or filled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from warehouse.contracts import CONTRACTS

TODAY = date(2026, 11, 22)
NOON = datetime.combine(TODAY, datetime.min.time()) + timedelta(hours=12)
READ = ("mart.", "meta.day_state", "meta.check_results", "meta.ingest_log", "core.resources")

Rows = list[dict[str, Any]]


def put(connection: duckdb.DuckDBPyConnection, table: str, rows: Rows) -> None:
    """Inserts rows by column name; columns that a row leaves out are NULL."""
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))


@pytest.fixture
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables that reports read, without a row."""
    with duckdb.connect() as connection:
        create(connection)
        yield connection


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with ninety days of a small company."""
    path = tmp_path_factory.mktemp("company") / "company.duckdb"
    with duckdb.connect(str(path)) as connection:
        create(connection)
        fill(connection)
    return path


@pytest.fixture
def filled(company: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The small company, in a copy that a test may change."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{company}' AS company (READ_ONLY)")
        connection.execute("COPY FROM DATABASE company TO memory")
        connection.execute("DETACH company")
        yield connection


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the tables from their contracts."""
    for schema in ("mart", "core", "meta"):
        connection.execute(f"CREATE SCHEMA {schema}")
    for name, contract in CONTRACTS.items():
        if name.startswith(READ):
            columns = ", ".join(f'"{column.name}" {column.type}' for column in contract.columns)
            connection.execute(f"CREATE TABLE {name} ({columns})")


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Writes the small company's marts."""
    for writer in (_health, _changes, _capacity, _costs, _opportunities, _incidents, _roi, _platform):
        writer(connection)


def _frame(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    """Inserts a frame by column name."""
    connection.register("frame", frame)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM frame")
    connection.unregister("frame")


def _days(n: int) -> list[date]:
    """The newest n days, oldest first."""
    return [TODAY - timedelta(days=n - 1 - i) for i in range(n)]


SERVICES = {
    "checkout": "payments",
    "payment": "payments",
    "search": "discovery",
    "catalogue": "discovery",
    "cart": "storefront",
    "frontend": "storefront",
    "shipping": "logistics",
    "recommendation": "discovery",
    "accounts": "identity",
}


def _health(connection: duckdb.DuckDBPyConnection) -> None:
    rows = []
    for i, day in enumerate(_days(90)):
        for j, (service, team) in enumerate(SERVICES.items()):
            wave = 1 + 0.1 * ((i * 7 + j * 3) % 5 - 2) / 2
            p95 = (80 + 40 * j) * wave * (1.35 if service == "checkout" and i >= 58 else 1)
            rows.append(
                {
                    "day": day,
                    "service": service,
                    "team": team,
                    "request_count": int(90_000 / (j + 1) * wave),
                    "error_count": int(400 / (j + 1)),
                    "error_ratio": 0.004,
                    "latency_p50_ms": p95 / 3,
                    "latency_p95_ms": p95,
                    "latency_p99_ms": p95 * 1.6,
                    "log_count": 4000,
                    "log_error_count": 12 + j,
                    "incident_count": 0,
                    "incident_minutes": 0.0,
                }
            )
    _frame(connection, "mart.service_health_daily", pl.DataFrame(rows))


def _changes(connection: duckdb.DuckDBPyConnection) -> None:
    shift = {"day": TODAY, "status": "ok", "p_value": 1e-9, "q_value": 1e-7, "measure": "latency_p95_ms"}
    put(
        connection,
        "mart.change_points",
        [
            shift
            | {
                "series_id": "checkout/latency_p95_ms",
                "service": "checkout",
                "time": NOON - timedelta(days=31),
                "before": 81.2,
                "after": 109.6,
                "relative_change": 0.35,
                "relative_change_lo": 0.28,
                "relative_change_hi": 0.43,
                "change_id": "deploy-881",
                "change_kind": "deploy",
                "change_title": "checkout 4.12.0: new tax service client",
                "change_service": "checkout",
                "change_distance_h": 0.6,
            },
            shift
            | {
                "series_id": "search/latency_p95_ms",
                "service": "search",
                "time": NOON - timedelta(days=12),
                "before": 161.0,
                "after": 132.5,
                "relative_change": -0.177,
            },
        ],
    )
    trend = {"day": TODAY, "status": "ok", "p_value": 1e-6, "q_value": 1e-4, "seasonal_strength": 0.4, "history_days": 90}
    put(
        connection,
        "mart.trends",
        [
            trend
            | {
                "series_id": "db-orders-0/disk",
                "subject": "resource",
                "service": "checkout",
                "measure": "used_mean",
                "unit": "By",
                "mean": 3.1e11,
                "slope_per_day": 2.2e9,
                "slope_lo": 2.1e9,
                "slope_hi": 2.3e9,
                "trend_class": "rising",
            },
            trend
            | {
                "series_id": "catalogue/log_error_count",
                "subject": "service",
                "service": "catalogue",
                "measure": "log_error_count",
                "unit": "1",
                "mean": 15.0,
                "slope_per_day": 0.21,
                "slope_lo": 0.15,
                "slope_hi": 0.27,
                "trend_class": "rising",
            },
            trend
            | {
                "series_id": "cart/request_count",
                "subject": "service",
                "service": "cart",
                "measure": "request_count",
                "unit": "1",
                "mean": 18_000.0,
                "slope_per_day": 61.0,
                "slope_lo": 40.0,
                "slope_hi": 80.0,
                "trend_class": "rising",
            },
            {
                "day": TODAY,
                "series_id": "new/x",
                "subject": "service",
                "service": "new",
                "measure": "x",
                "history_days": 2,
                "status": "not_enough_data",
            },
        ],
    )
    odd = {"day": TODAY, "status": "ok", "series_id": "payment/error_ratio", "service": "payment", "measure": "error_ratio"}
    put(
        connection,
        "mart.anomalies",
        [odd | {"time": NOON - timedelta(days=4), "value": 0.118, "expected": 0.004, "score": 0.9997, "episode_id": "E"}],
    )
    together = {"day": TODAY, "episode_id": "E", "start_time": NOON - timedelta(days=4), "end_time": NOON - timedelta(days=4, hours=-2)}
    beside = {"incident_id": "Q1", "incident_title": "Payments fail", "change_id": "deploy-902", "change_title": "payment 3.1.0"}
    put(
        connection,
        "mart.anomaly_episodes",
        [
            together | beside | {"rank": rank, "service": service, "probability": p, "evidence": 6.0 * p, "anomaly_count": 2}
            for rank, service, p in ((1, "payment", 0.8), (2, "checkout", 0.2))
        ],
    )


def _capacity(connection: duckdb.DuckDBPyConnection) -> None:
    gib = 2.0**30
    resources = [
        ("arn:aws:ebs:eu-west-1:4711:volume/vol-0a41be77/disk", "checkout", "disk", "By", 500 * gib, 300 * gib, 2.3 * gib, 14),
        ("db-orders-0/pool", "payment", "pool", "{connection}", 400.0, 235.0, 3.1, 7),
        ("cache-1/memory", "cart", "memory", "By", 64 * gib, 30 * gib, 0.01 * gib, 7),
    ]
    plans, paths, used = [], [], []
    for name, service, kind, unit, limit, now, slope, lead in resources:
        days = (limit - now) / slope
        soon = days < 90
        plans.append(
            {
                "day": TODAY,
                "resource_id": name,
                "service": service,
                "team": SERVICES[service],
                "resource_kind": kind,
                "unit": unit,
                "limit": limit,
                "used_now": now,
                "headroom_now": limit - now,
                "lead_time_days": float(lead),
                "p_exceed_by_lead_time": 0.07 if kind == "pool" else 0.0,
                "exhaustion_p10": NOON + timedelta(days=0.9 * days) if soon else None,
                "exhaustion_p50": NOON + timedelta(days=days) if soon else None,
                "exhaustion_p90": NOON + timedelta(days=1.15 * days) if kind == "pool" else None,
                "add_capacity": 0.1 * limit if kind == "pool" else 0.0,
                "headroom_at_lead_time": limit - now - slope * lead,
                "order_by": NOON + timedelta(days=0.88 * days - lead) if soon else None,
                "unit_price": 2.5 if kind == "pool" else None,
                "add_cost_per_month": 0.25 * limit if kind == "pool" else None,
                "billing_currency": "USD" if kind == "pool" else None,
                "model": "ets+trend_season",
                "decisions": 4,
                "warned_in_time": 1.0 if kind == "pool" else None,
                "false_warnings": 0.5 if kind == "pool" else None,
                "status": "ok",
            }
        )
        for i in range(1, 61):
            mean, spread = now + slope * i + 0.02 * now * (i % 7 == 3), slope * i**0.5 * 2.5
            path = {
                "mean": mean,
                "lo_80": mean - spread,
                "hi_80": mean + spread,
                "lo_95": mean - 1.5 * spread,
                "hi_95": mean + 1.5 * spread,
            }
            time = datetime.combine(TODAY, datetime.min.time()) + timedelta(days=i)
            paths.append({"day": TODAY, "resource_id": name, "time": time, "model": "ets+trend_season", "status": "ok", **path})
        for i, day in enumerate(_days(90)):
            value = now - slope * (89 - i) + 0.02 * now * (i % 7 == 3)
            used.append({"day": day, "resource_id": name, "service": service, "used_max": value, "used_mean": 0.9 * value, "unit": unit})
    plans.append({"day": TODAY, "resource_id": "new-volume/disk", "service": "search", "status": "not_enough_data"})
    _frame(connection, "mart.capacity_plan", pl.DataFrame(plans, infer_schema_length=None))
    _frame(connection, "mart.capacity_forecasts", pl.DataFrame(paths))
    _frame(connection, "core.resources", pl.DataFrame(used))
    _planner(connection)


def _planner(connection: duckdb.DuckDBPyConnection) -> None:
    pool = {"day": TODAY, "resource_id": "db-orders-0/pool", "service": "payment", "resource_kind": "pool", "status": "ok"}
    decisions = [(0.62, True, True, False), (0.11, True, False, False), (0.01, False, False, False), (1.0, True, True, True)]
    rows: Rows = [
        pool
        | {
            "cutoff": NOON - timedelta(days=7 * (i + 2)),
            "lead_time_days": 7.0,
            "p_exceed_by_lead_time": risk,
            "warned": warned,
            "reached": reached,
            "reached_time": NOON - timedelta(days=7 * i + 10) if reached else None,
            "over_already": over,
        }
        for i, (risk, warned, reached, over) in enumerate(decisions)
    ]
    put(connection, "mart.capacity_decisions", rows)
    driver = {"driver": "requests", "elasticity": 0.82, "elasticity_lo": 0.74, "elasticity_hi": 0.9, "r_squared": 0.87, "observations": 90}
    put(connection, "mart.demand_drivers", [pool | driver])
    friday = datetime(2026, 11, 27)
    peak = {"occasion": "Black Friday", "last_time": datetime(2025, 11, 28), "value": 300.0, "lift": 1.6, "next_time": friday}
    put(connection, "mart.seasonal_peaks", [pool | peak | {"expected": 412.0, "unit": "{connection}"}])
    scenario = {"scenario": "growth=+30%", "unit": "{connection}", "limit": 400.0, "p_exceed_by_lead_time": 0.31}
    dates = {"exhaustion_p10": NOON + timedelta(days=5), "exhaustion_p50": NOON + timedelta(days=9), "add_capacity": 130.0}
    put(connection, "mart.capacity_scenarios", [pool | scenario | dates])
    whole = {"day": TODAY, "level": "all", "name": "all", "resource_kind": "pool", "unit": "{connection}", "limit": 400.0, "status": "ok"}
    sums = [
        whole
        | {"time": datetime.combine(TODAY, datetime.min.time()) + timedelta(days=i), "mean": mean, "lo_80": mean - 9, "hi_80": mean + 9}
        for i, mean in ((1, 200.0), (60, 300.0))
    ]
    put(connection, "mart.capacity_totals", sums)


def _costs(connection: duckdb.DuckDBPyConnection) -> None:
    rows = []
    for i, day in enumerate(_days(90)):
        for j, (service, team) in enumerate(SERVICES.items()):
            cost = 310 / (j + 1.5) * (0.9 if i % 7 > 4 else 1.0) * (1.25 if service == "search" and i > 62 else 1.0)
            money = {"billed_cost": round(cost * 0.97, 2), "effective_cost": round(cost, 2), "list_cost": round(cost * 1.22, 2)}
            rows.append({"day": day, "service": service, "team": team, "provider": "AWS", "billing_currency": "USD", **money})
    _frame(connection, "mart.cost_by_service_daily", pl.DataFrame(rows))


def _opportunities(connection: duckdb.DuckDBPyConnection) -> None:
    common = {"day": TODAY, "billing_currency": "USD", "status": "ok"}
    rows = [
        ("idle", "i-0f3a88b1c2d4/cpu", "cpu", "shipping", 16.0, 0.0, "{core}", 486.4, 0.97, "0.9% used on average over 90 days"),
        ("idle", "i-0f3a77e9a001/cpu", "cpu", "accounts", 8.0, 0.0, "{core}", 243.2, 0.95, "1.1% used on average over 90 days"),
        ("oversized", "i-0bb1239ad7/memory", "memory", "search", 128 * 2.0**30, 48 * 2.0**30, "By", 212.9, 0.88, "peak 39 GiB"),
        ("oversized", "i-0bb1239ad9/cpu", "cpu", "catalogue", 32.0, 12.0, "{core}", 402.2, 0.91, "p99 10.1 cores"),
        ("unused_commitment", "savings-plan/sp-1b2c3d", "commitment", "unknown", 2400.0, 1510.0, "USD", 890.0, 1.0, "63% used"),
        ("undersized", "db-orders-0/cpu", "cpu", "payment", 8.0, 10.0, "{core}", -61.0, 0.9, "p99 at 98% of the allocation"),
        (
            "cost_anomaly",
            "search",
            "service",
            "search",
            None,
            None,
            None,
            None,
            0.99,
            "2026-11-09: USD 151.20 where USD 118.40 was expected",
        ),
    ]
    columns = (
        "kind",
        "resource_id",
        "resource_kind",
        "service",
        "allocated",
        "recommended",
        "unit",
        "saving_per_month",
        "confidence",
        "evidence",
    )
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    put(connection, "mart.cost_opportunities", [common | row | {"opportunity_id": f"{row['kind']}/{row['resource_id']}"} for row in named])


def _incidents(connection: duckdb.DuckDBPyConnection) -> None:
    months = {
        date(2026, 9, 1): ("checkout", "payment", "search"),
        date(2026, 10, 1): ("checkout", "cart"),
        date(2026, 11, 1): ("payment", "checkout", "catalogue"),
    }
    rows = [
        {
            "day": TODAY,
            "month": month,
            "service": service,
            "team": SERVICES[service],
            "incident_count": 1 + (service == "checkout"),
            "open_count": int(i == 2 and service == "payment"),
            "mttd_s": 240.0 + 60 * i,
            "mtta_s": 310.0 - 40 * i,
            "mttr_s": None if i == 2 and service == "payment" else 5400.0 - 600 * i,
            "unknown_start_count": int(service == "cart"),
        }
        for i, (month, services) in enumerate(months.items())
        for service in services
    ]
    _frame(connection, "mart.incident_metrics_monthly", pl.DataFrame(rows, infer_schema_length=None))


def _roi(connection: duckdb.DuckDBPyConnection) -> None:
    from models.roi import items, simulate, with_assumptions
    from models.roi.inputs import COLUMNS

    known = [
        ("platform_cost_per_year", 41_000.0, 44_000.0, 52_000.0, "pert", "measured", "bills of the last 90 days"),
        ("incidents_per_year", 38.0, 44.0, 50.0, "pert", "measured", "11 incidents in 90 days"),
        ("mttr_hours", 1.1, 1.36, 1.7, "pert", "measured", "mart.incident_metrics_monthly"),
        ("hourly_rate", 80.0, 85.0, 95.0, "pert", "configured", "[roi.inputs] of lakebed.toml"),
        ("downtime_cost_per_hour", 1500.0, 6000.0, 21_000.0, "pert", "configured", "[roi.inputs] of lakebed.toml"),
        ("savings_found_per_year", 24_000.0, 26_814.0, 28_000.0, "pert", "measured", "mart.cost_opportunities"),
    ]
    inputs = with_assumptions(pl.DataFrame(known, schema=COLUMNS, orient="row"))
    table = items(simulate(inputs, draws=2000), inputs, currency="USD").with_columns(day=pl.lit(TODAY))
    _frame(connection, "mart.roi", table)


def _platform(connection: duckdb.DuckDBPyConnection) -> None:
    put(
        connection,
        "meta.ingest_log",
        [
            {
                "batch_id": name,
                "source": name,
                "table_name": f"raw.{table}",
                "rows_read": read,
                "rows_landed": read - bad,
                "rows_collapsed": 0,
                "rows_quarantined": bad,
                "started_at": NOON,
                "committed_at": NOON + timedelta(minutes=2),
            }
            for name, table, read, bad in (
                ("collector", "spans", 204_113, 0),
                ("prometheus", "metric_points", 2_310_554, 12),
                ("bills", "costs", 18_220, 0),
            )
        ],
    )
    states = [
        {
            "table_name": table,
            "day": day,
            "version": 1,
            "state": "blocked" if table == "raw.spans" and i == 1 else "passed",
            "row_count": 1000,
            "reason": "grain_unique failed" if table == "raw.spans" and i == 1 else None,
            "changed_at": NOON,
        }
        for table in ("raw.spans", "raw.costs", "mart.roi")
        for i, day in enumerate(_days(3))
    ]
    put(connection, "meta.day_state", states)
    put(
        connection,
        "meta.check_results",
        [
            {
                "table_name": "raw.spans",
                "day": TODAY - timedelta(days=1),
                "version": 1,
                "check_name": name,
                "severity": severity,
                "success": False,
                "unexpected_count": 31,
                "checked_at": NOON,
            }
            for name, severity in (("grain_unique", "error"), ("parent_known", "warn"))
        ],
    )


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "'; DROP TABLE mart.roi; --",
    "[x](javascript:alert(1)) ![i](http://evil.example/x.png) <b>|",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "../../../etc/passwd\x00\u202egnp.exe",
)


@pytest.fixture
def hostile(filled: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Adds rows whose every text is hostile to `filled`; the texts."""
    connection = filled
    for i, text in enumerate(HOSTILE):
        put(
            connection,
            "mart.cost_opportunities",
            [
                {
                    "day": TODAY,
                    "opportunity_id": text,
                    "kind": "idle",
                    "resource_id": text,
                    "service": text,
                    "team": text,
                    "allocated": 1.0,
                    "unit": text,
                    "saving_per_month": 900.0 + i,
                    "billing_currency": "USD",
                    "evidence": text,
                    "confidence": 1.0,
                    "status": "ok",
                }
            ],
        )
        plan = {"day": TODAY, "resource_id": text, "service": text, "unit": text, "limit": 10.0, "used_now": 9.0, "status": "ok"}
        soon = {"p_exceed_by_lead_time": 0.9, "lead_time_days": 7.0, "exhaustion_p50": NOON + timedelta(days=i), "add_capacity": 1.0}
        put(connection, "mart.capacity_plan", [plan | soon])
        ahead = {"mean": 9.0, "lo_80": 8.0, "hi_80": 10.0, "lo_95": 7.0, "hi_95": 11.0, "status": "ok", "resource_id": text}
        put(connection, "mart.capacity_forecasts", [ahead | {"day": TODAY, "time": NOON + timedelta(days=d)} for d in range(3)])
        money = {"billed_cost": 900, "effective_cost": 900, "list_cost": 900, "billing_currency": "USD"}
        put(connection, "mart.cost_by_service_daily", [{"day": TODAY, "service": text, "team": text, "provider": text} | money])
        shift = {"day": TODAY, "series_id": text, "service": text, "measure": "latency_p95_ms", "time": NOON, "status": "ok"}
        title = {"change_id": text, "change_title": text, "relative_change": 1.0, "q_value": 0.0}
        put(connection, "mart.change_points", [shift | title])
        episode = {
            "day": TODAY,
            "episode_id": text,
            "service": text,
            "rank": 1,
            "probability": 1.0,
            "evidence": 90.0 + i,
            "start_time": NOON,
        }
        names = {"incident_id": text, "incident_title": text, "change_id": text, "change_title": text, "change_service": text}
        put(connection, "mart.anomaly_episodes", [episode | names | {"end_time": NOON}])
        health = {"service": text, "team": text, "latency_p95_ms": 5.0, "request_count": 10**7, "error_count": 10**6}
        put(connection, "mart.service_health_daily", [health | {"day": TODAY - timedelta(days=d)} for d in range(10)])
        put(connection, "mart.roi", [{"day": TODAY, "item": f"input:{text}", "evidence": text, "provenance": text, "status": "ok"}])
        state = {"table_name": text, "day": TODAY, "version": 1, "state": "blocked", "reason": text, "changed_at": NOON}
        put(connection, "meta.day_state", [state])
    return HOSTILE
