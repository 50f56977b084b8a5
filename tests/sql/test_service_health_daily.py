"""mart.service_health_daily: which spans are requests, merged percentiles, minutes of incidents, silent services."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

at = datetime.fromisoformat
DAY = date(2026, 1, 2)


def spans(
    db: Any, kind: str, *durations_ms: float, entry: bool = True, time: str = "10:00", errors: int = 0, operation: str = "op"
) -> None:
    (sketch,) = db.connection.execute("SELECT sketch_of(x) FROM (SELECT unnest(?::DOUBLE[]) * 1e6 AS x)", [list(durations_ms)]).fetchone()
    total = int(sum(durations_ms) * 1e6)
    row = {"source": "s", "service": "api", "operation": operation, "kind": kind, "is_entry": entry, "time": at(f"{DAY} {time}")}
    numbers = {"span_count": len(durations_ms), "error_count": errors, "duration_sum_ns": total}
    db.fill("core.span_rollup_5m", {**row, **numbers, "duration_sketch": dict(sketch)})


def incident(db: Any, opened: str, resolved: str | None, service: str = "api") -> None:
    row = {"source": "pd", "incident_id": opened, "service": service, "status": "x", "opened_time": at(opened)}
    db.fill("core.incidents", {**row, "resolved_time": at(resolved) if resolved else None})


def health(db: Any, day: date = DAY) -> dict[str, dict[str, Any]]:
    return {row["service"]: row for row in db.run("mart.service_health_daily", day)}


def test_server_spans_are_the_requests(db: Any) -> None:
    spans(db, "SERVER", 10, 20, errors=1)
    spans(db, "CLIENT", 500, entry=True)
    row = health(db)["api"]
    assert (row["request_count"], row["error_count"], row["error_ratio"]) == (2, 1, 0.5)


def test_entries_are_the_requests_of_a_service_without_server_spans(db: Any) -> None:
    spans(db, "INTERNAL", 10, 20, 30, entry=True)
    spans(db, "INTERNAL", 500, entry=False)
    assert health(db)["api"]["request_count"] == 3


def test_percentiles_are_merged_over_the_day(db: Any) -> None:
    spans(db, "SERVER", *range(1, 51))
    spans(db, "SERVER", *range(51, 101), time="20:00")
    row = health(db)["api"]
    assert [row[k] for k in ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")] == [
        pytest.approx(50, rel=0.02),
        pytest.approx(95, rel=0.02),
        pytest.approx(99, rel=0.02),
    ]


def test_what_a_service_does_not_send_is_unknown_and_no_incidents_are_none(db: Any) -> None:
    log = {"source": "s", "service": "batch", "template": "t", "time": at(f"{DAY} 10:00")}
    db.fill("core.log_rollup_1h", {**log, "severity": "INFO", "log_count": 5}, {**log, "severity": "FATAL", "log_count": 2})
    row = health(db)["batch"]
    names = ("request_count", "error_ratio", "latency_p95_ms", "log_count", "log_error_count", "incident_count", "incident_minutes")
    assert [row[k] for k in names] == [None, None, None, 7, 2, 0, 0]


@pytest.mark.parametrize(
    ("opened", "resolved", "count", "minutes"),
    [
        ("2026-01-02 10:00", "2026-01-02 10:30", 1, 30),
        ("2026-01-01 23:00", "2026-01-02 01:00", 0, 60),
        ("2026-01-02 23:00", "2026-01-03 05:00", 1, 60),
        ("2026-01-01 10:00", None, 0, 1440),
        ("2026-01-02 12:00", None, 1, 720),
        ("2026-01-02 00:00", "2026-01-02 00:00", 1, 0),
    ],
)
def test_minutes_with_an_open_incident(db: Any, opened: str, resolved: str | None, count: int, minutes: float) -> None:
    incident(db, opened, resolved)
    row = health(db)["api"]
    assert (row["incident_count"], row["incident_minutes"]) == (count, minutes)


def test_an_incident_that_ended_at_midnight_is_none_of_the_day(db: Any) -> None:
    incident(db, "2026-01-01 10:00", "2026-01-02 00:00")
    assert health(db) == {}


def test_each_of_two_incidents_counts(db: Any) -> None:
    incident(db, "2026-01-02 10:00", "2026-01-02 11:00")
    incident(db, "2026-01-02 10:30", "2026-01-02 11:00")
    assert health(db)["api"]["incident_minutes"] == 90


def test_an_open_incident_is_forgotten_after_thirty_days_whatever_the_window(db: Any) -> None:
    incident(db, "2025-12-03 00:00", None)
    incident(db, "2025-12-02 23:59", None, "other")
    assert set(health(db)) == {"api"}
    rows = db.run("mart.service_health_daily", date(2026, 1, 1), date(2026, 1, 3))
    assert {row["service"] for row in rows if row["day"] == DAY} == {"api"}
