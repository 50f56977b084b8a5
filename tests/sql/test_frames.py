"""Frames: what the models are given."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

at = datetime.fromisoformat
DAY, END = date(2026, 1, 1), date(2026, 1, 11)


def test_trend_history_is_long_and_without_unknown_values(db: Any) -> None:
    health = {"service": "api", "request_count": 5, "error_ratio": 0.5, "latency_p95_ms": 12.0}
    db.fill("mart.service_health_daily", {**health, "day": DAY})
    cost = {"service": "api", "provider": "p", "billing_currency": "USD", "effective_cost": Decimal("1.5")}
    db.fill("mart.cost_by_service_daily", {**cost, "day": DAY}, {**cost, "provider": "q", "day": DAY})
    db.fill("core.resources", {"resource_id": "h/cpu", "service": "api", "used_mean": 3.0, "unit": "{cpu}", "day": DAY})
    db.fill("core.resources", {"resource_id": "h", "service": "api", "day": DAY})
    found = {(r["series_id"], r["subject"], r["measure"], r["unit"], r["value"]) for r in db.run("frames.trend_history", DAY, END)}
    assert found == {
        ("api/request_count", "service", "request_count", "1", 5),
        ("api/error_ratio", "service", "error_ratio", "1", 0.5),
        ("api/latency_p95_ms", "service", "latency_p95_ms", "ms", 12),
        ("api/effective_cost/USD", "service", "effective_cost", "USD", 3),
        ("h/cpu", "resource", "used_mean", "{cpu}", 3),
    }


def test_hours_without_requests_count_none_and_have_no_latency(db: Any) -> None:
    row = {"source": "s", "service": "api", "operation": "op", "kind": "SERVER", "is_entry": True, "span_count": 2, "error_count": 1}
    for time in ("2026-01-01 10:00", "2026-01-01 12:05"):
        db.fill("core.span_rollup_5m", {**row, "time": at(time), "duration_sketch": {32768 + 470: [2]}})
    rows = db.run("frames.service_hourly", DAY, END)
    found = {measure: [(r["time"].hour, r["value"]) for r in rows if r["measure"] == measure] for measure in {r["measure"] for r in rows}}
    assert found["request_count"] == [(10, 2), (11, 0), (12, 2)]
    assert found["error_ratio"] == [(10, 0.5), (12, 0.5)]
    assert [hour for hour, _ in found["latency_p95_ms"]] == [10, 12]
    assert "log_error_count" not in found


def test_metrics_of_a_capacity_rule_are_left_to_resource_usage(db: Any) -> None:
    db.fill("meta.capacity_limits", {"rank": 0, "kind": "cpu", "usage_metric": "cpu", "limit_metric": "cores", "lead_time_days": 1.0})
    series = {"source": "s", "unit_scale": 1.0, "first_seen": at("2026-01-01")}
    db.fill("raw.metric_series", {**series, "series_id": 1, "metric_name": "cpu", "kind": "gauge"})
    db.fill("raw.metric_series", {**series, "series_id": 2, "metric_name": "cores", "kind": "gauge"})
    db.fill("raw.metric_series", {**series, "series_id": 3, "metric_name": "hits", "kind": "counter", "labels": {"b": "2", "a": "1"}})
    for i in (1, 2, 3):
        hour = {"source": "s", "series_id": i, "time": at("2026-01-01 10:00"), "count": 4, "sum": 8.0, "increase": 7200.0}
        db.fill("core.metric_rollup_1h", hour)
    assert [(r["series_id"], r["unit"], r["value"]) for r in db.run("frames.metric_hourly", DAY, END)] == [
        ('s:hits{a="1",b="2"}', "1/s", 2)
    ]


def test_limits_are_the_last_known_of_resources_that_are_still_there(db: Any) -> None:
    row = {"resource_kind": "disk", "service": "api", "unit": "By", "lead_time_days": 14.0, "used_max": 1.0}
    hours = (("alive", "2026-01-09 10:00", 1.0, 100.0), ("alive", "2026-01-10 10:00", 5.0, 200.0), ("alive", "2026-01-10 11:00", 7.0, None))
    for name, time, used, capacity in (*hours, ("gone", "2026-01-02 10:00", 1.0, 9.0)):
        db.fill("core.resource_usage_1h", {**row, "resource_id": name, "time": at(time), "used_mean": used, "capacity": capacity})
    price = {"resource_id": "alive", "service": "api", "billing_currency": "USD", "price_source": "bill"}
    db.fill("core.resources", {**price, "unit_price": 1.0, "day": date(2026, 1, 8)}, {**price, "unit_price": 2.0, "day": date(2026, 1, 9)})
    (found,) = db.run("frames.resource_limits", DAY, END)
    names = ("resource_id", "capacity", "lead_time_days", "used_now", "unit_price", "billing_currency", "last_seen")
    assert [found[k] for k in names] == ["alive", 200, 14, pytest.approx(6.9), 2, "USD", at("2026-01-10 11:00")]


def test_costs_and_commitments_per_day(db: Any) -> None:
    row = {"source": "s", "service": "api", "provider": "p", "billing_account_id": "a", "billing_currency": "USD", "day": DAY}
    usage = {**row, "charge_category": "Usage", "effective_cost": Decimal(2)}
    plan = {"commitment_discount_id": "c", "commitment_discount_status": "Unused"}
    db.fill("core.costs_daily", usage, {**usage, **plan}, {**row, **plan, "charge_category": "Purchase", "effective_cost": Decimal(9)})
    assert [(r["key"], r["day"], r["cost"]) for r in db.run("frames.daily_costs", DAY, END)] == [("api/USD", DAY, 13)]
    (charge,) = db.run("frames.commitment_charges", DAY, END)
    assert (charge["CommitmentDiscountId"], charge["CommitmentDiscountStatus"], charge["EffectiveCost"]) == ("c", "Unused", 2)


def test_changes_have_the_conformed_service(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "^repo/api$", "service": "api"})
    change = {"source": "git", "kind": "deploy", "time": at("2026-01-01 10:00")}
    db.fill("raw.changes", {**change, "change_id": "1", "service": "repo/api"}, {**change, "change_id": "2"})
    assert [r["service"] for r in db.run("frames.changes", DAY, END)] == ["api", "unknown"]


def test_a_series_has_one_service_and_unit_the_latest(db: Any) -> None:
    row = {"resource_id": "h/cpu", "resource_kind": "cpu", "used_mean": 1.0, "used_max": 1.0}
    for service, day in (("new", "2026-01-03"), ("old", "2026-01-02")):
        db.fill("core.resources", {**row, "service": service, "unit": service, "day": date.fromisoformat(day)})
        db.fill("core.resource_usage_1h", {**row, "service": service, "team": service, "unit": service, "time": at(f"{day} 10:00")})
    for frame in ("frames.trend_history", "frames.resource_usage"):
        assert {(r["service"], r["unit"]) for r in db.run(frame, DAY, END)} == {("new", "new")}


def test_who_calls_whom_over_the_whole_window(db: Any) -> None:
    call = {"source": "s", "parent_service": "web", "error_count": 0, "duration_sum_ns": 1, "duration_max_ns": 1}
    for child, count, day in (("api", 5, DAY), ("api", 2, date(2026, 1, 2)), ("db", 1, DAY), ("late", 1, END)):
        db.fill("core.service_dependencies_1d", {**call, "child_service": child, "call_count": count, "day": day})
    rows = db.run("frames.service_dependencies", DAY, END)
    found = [(r["parent_service"], r["child_service"], r["call_count"], r["last_seen"].day) for r in rows]
    assert found == [("web", "api", 7, 2), ("web", "db", 1, 1)]


def test_demand_is_what_a_service_serves_and_none_is_zero(db: Any) -> None:
    row = {"source": "s", "service": "api", "operation": "op", "is_entry": True, "error_count": 0}
    spans = (("10:00", "SERVER", 2), ("10:05", "SERVER", 3), ("10:05", "CLIENT", 9), ("12:00", "SERVER", 4))
    for time, kind, count in spans:
        db.fill("core.span_rollup_5m", {**row, "kind": kind, "span_count": count, "time": at(f"2026-01-01 {time}")})
    db.fill("core.span_rollup_5m", {**row, "service": "batch", "kind": "INTERNAL", "span_count": 7, "time": at("2026-01-01 11:00")})
    found = [(r["service"], r["driver"], r["time"].hour, r["value"]) for r in db.run("frames.service_demand", DAY, END)]
    assert found == [("api", "requests", 10, 5), ("api", "requests", 11, 0), ("api", "requests", 12, 4), ("batch", "requests", 11, 7)]
    hourly = [r for r in db.run("frames.service_hourly", DAY, END) if r["measure"] == "request_count"]
    assert [(r["service"], "requests", r["time"].hour, r["value"]) for r in hourly] == found


def test_a_resource_has_one_peak_a_day_and_its_latest_names(db: Any) -> None:
    row = {"resource_id": "h/cpu", "resource_kind": "cpu", "unit": "{cpu}", "lead_time_days": 7.0, "used_max": 99.0}
    for time, service, used in (
        ("01-02 10:00", "old", 1.0),
        ("01-02 11:00", "old", 3.0),
        ("01-04 10:00", "new", 2.0),
        ("02-01", "no", 9.0),
    ):
        db.fill("core.resource_usage_1h", {**row, "service": service, "used_mean": used, "time": at(f"2026-{time}")})
    found = [(r["resource_id"], r["service"], r["time"], r["value"]) for r in db.run("frames.resource_daily", DAY, END)]
    assert found == [("h/cpu", "new", at("2026-01-02"), 3), ("h/cpu", "new", at("2026-01-04"), 2)]


def test_incidents_are_felt_from_their_start_to_their_end(db: Any) -> None:
    known = {"source": "s", "service": "api", "title": "slow", "opened_time": at("2026-01-02 10:00")}
    db.fill(
        "core.incidents", {**known, "incident_id": "1", "started_time": at("2026-01-02 09:50"), "resolved_time": at("2026-01-02 11:00")}
    )
    db.fill("core.incidents", {**known, "incident_id": "2", "started_time": at("2026-01-02 10:10")})
    db.fill("core.incidents", {**known, "incident_id": "3", "opened_time": at("2026-01-11 10:00")})
    found = [(r["incident_id"], r["start_time"], r["end_time"]) for r in db.run("frames.incidents", DAY, END)]
    assert found == [
        ("1", at("2026-01-02 09:50"), at("2026-01-02 11:00")),
        ("2", at("2026-01-02 10:00"), at("2026-01-11 00:00")),
    ]


def test_the_last_word_on_an_anomaly_counts(db: Any) -> None:
    for series, time, is_false_alarm, said in (
        ("a", "2026-01-02 10:00", True, "2026-01-05"),
        ("a", "2026-01-02 10:00", False, "2026-01-06"),
        ("b", "2026-01-02 10:00", True, "2026-02-05"),
        ("b", "2026-01-11 00:00", True, "2026-02-05"),
    ):
        db.fill("meta.anomaly_feedback", {"series_id": series, "time": at(time), "is_false_alarm": is_false_alarm, "said_at": at(said)})
    found = [(r["series_id"], r["is_false_alarm"]) for r in db.run("frames.anomaly_feedback", DAY, END)]
    assert found == [("a", False), ("b", True)]
