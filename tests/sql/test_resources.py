"""core.resource_usage_1h and core.resources: which series measure a resource, its limit, its price."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

at = datetime.fromisoformat
DAY = date(2026, 1, 31)
GIB = 2.0**30


def limit(db: Any, rank: int, kind: str, metric: str, **more: Any) -> None:
    db.fill("meta.capacity_limits", {"rank": rank, "kind": kind, "usage_metric": metric, "lead_time_days": 7.0, "unit": "1", **more})


def usage(db: Any, series_id: int, metric: str, labels: dict[str, str], *hours: float, kind: str = "gauge", start: str = "10:00") -> None:
    """A series and one bucket an hour from `start` on; a value is the hour's mean, its maximum is one more."""
    row = {"source": "s", "series_id": series_id, "metric_name": metric, "labels": labels, "kind": kind, "unit_scale": 1.0}
    db.fill("raw.metric_series", {**row, "first_seen": at(f"{DAY} {start}")})
    for i, mean in enumerate(hours):
        time = at(f"{DAY} {start}") + timedelta(hours=i)
        value = {"sum": mean * 6, "min": mean, "max": mean + 1, "first": mean, "last": mean, "increase": mean * 3600}
        db.fill("core.metric_rollup_1h", {"source": "s", "series_id": series_id, "time": time, "count": 6, **value})


def charge(db: Any, resource: str, cost: str, day: date = DAY, days: int = 1, **more: Any) -> None:
    start = datetime.combine(day, datetime.min.time())
    row = {"source": "bill", "ResourceId": resource, "EffectiveCost": Decimal(cost), "BilledCost": Decimal(cost), "BillingCurrency": "USD"}
    times = {"ChargePeriodStart": start, "ChargePeriodEnd": start + timedelta(days=days)}
    kind = {"ChargeCategory": "Usage", "ConsumedQuantity": Decimal(24 * days), "ConsumedUnit": "Hours", "ProviderName": "AWS"}
    db.fill("raw.costs", {**row, **times, **kind, **more})


def used(db: Any) -> list[tuple[Any, ...]]:
    rows = db.run("core.resource_usage_1h", DAY)
    return [(r["resource_id"], r["time"].hour, r["used_mean"], r["used_max"], r["capacity"]) for r in rows]


def resources(db: Any) -> dict[str, dict[str, Any]]:
    db.build("core.resource_usage_1h", DAY)
    return {row["resource_id"]: row for row in db.run("core.resources", DAY)}


def test_a_limit_from_a_label(db: Any) -> None:
    limit(db, 0, "cpu", "cpu", limit_label="limit")
    usage(db, 1, "cpu", {"host.id": "h", "limit": "8", "service.name": "api"}, 2.0, 3.0)
    assert used(db) == [("h/cpu", 10, 2, 3, 8), ("h/cpu", 11, 3, 4, 8)]


def test_a_limit_from_another_metric_holds_for_a_day(db: Any) -> None:
    limit(db, 0, "disk", "disk.used", limit_metric="disk.size")
    usage(db, 1, "disk.used", {"host.id": "h"}, 5.0, 6.0, 7.0)
    usage(db, 2, "disk.size", {"host.id": "h"}, 100.0, start="11:00")
    usage(db, 3, "disk.used", {"host.id": "other"}, 5.0)
    assert used(db) == [("h/disk", 10, 5, 6, None), ("h/disk", 11, 6, 7, 100), ("h/disk", 12, 7, 8, 100), ("other/disk", 10, 5, 6, None)]


def test_a_limit_that_is_a_number_is_not_added_up_over_series(db: Any) -> None:
    limit(db, 0, "pool", "connections", limit_value=50.0)
    usage(db, 1, "connections", {"host.id": "db", "state": "idle"}, 5.0)
    usage(db, 2, "connections", {"host.id": "db", "state": "busy"}, 20.0)
    assert used(db) == [("db/pool", 10, 25, 27, 50)]


def test_labels_choose_the_usage_and_only_agree_with_the_limit(db: Any) -> None:
    limit(db, 0, "memory", "mem", usage_labels={"state": "used"}, limit_metric="mem.size")
    usage(db, 1, "mem", {"host.id": "h", "state": "used"}, 5.0)
    usage(db, 2, "mem", {"host.id": "h", "state": "free"}, 70.0)
    usage(db, 3, "mem.size", {"host.id": "h"}, 75.0)
    assert used(db) == [("h/memory", 10, 5, 6, 75)]


def test_a_counter_is_used_at_its_rate(db: Any) -> None:
    limit(db, 0, "cpu", "cpu_seconds_total", limit_value=4.0)
    usage(db, 1, "cpu_seconds_total", {"instance": "h"}, 1.5, kind="counter")
    assert used(db) == [("h/cpu", 10, 1.5, 1.5, 4)]


def test_the_first_rule_decides_for_a_series_and_for_a_resource(db: Any) -> None:
    limit(db, 0, "disk", "disk", usage_labels={"device": "data"}, limit_value=10.0, resource_label="device")
    limit(db, 1, "disk", "disk", limit_value=99.0)
    limit(db, 2, "disk", "disk_other", limit_value=77.0)
    usage(db, 1, "disk", {"instance": "h", "device": "data"}, 1.0)
    usage(db, 2, "disk", {"instance": "h", "device": "root"}, 2.0)
    usage(db, 3, "disk_other", {"instance": "h"}, 3.0)
    assert used(db) == [("data/disk", 10, 1, 2, 10), ("h/disk", 10, 2, 3, 99)]


def test_a_resource_that_no_label_names_is_its_service(db: Any) -> None:
    limit(db, 0, "quota", "requests", limit_value=10.0)
    usage(db, 1, "requests", {"service.name": "api"}, 1.0)
    limit(db, 1, "licence", "seats", limit_value=20.0)
    usage(db, 2, "seats", {"service.name": "api"}, 5.0)
    assert used(db) == [("api/licence", 10, 5, 6, 20), ("api/quota", 10, 1, 2, 10)]


def test_a_day_of_a_limited_resource(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "^api$", "service": "gateway", "team": "edge"})
    limit(db, 0, "cpu", "cpu", limit_label="limit", unit="{cpu}")
    usage(db, 1, "cpu", {"host.id": "h", "limit": "8", "service.name": "api", "cloud.region": "eu"}, 2.0, 4.0)
    row = resources(db)["h/cpu"]
    assert [row[k] for k in ("service", "team", "capacity", "unit", "used_mean", "used_max", "region")] == [
        "gateway",
        "edge",
        8,
        "{cpu}",
        3,
        5,
        "eu",
    ]
    assert (row["unit_price"], row["price_source"]) == (None, None)


def test_telemetry_and_bill_name_the_whole(db: Any) -> None:
    usage(db, 1, "anything", {"host.id": "h", "service.name": "api"}, 2.0)
    charge(db, "h", "24", ResourceType="Virtual Machine", RegionId="eu")
    charge(db, "bucket", "1", Tags={"service": "web"})
    found = resources(db)
    assert {k: (r["resource_kind"], r["service"], r["provider"]) for k, r in found.items()} == {
        "h": ("Virtual Machine", "api", "AWS"),
        "bucket": (None, "web", "AWS"),
    }
    assert [found["h"][k] for k in ("unit_price", "unit", "billing_currency", "price_source", "effective_cost_30d")] == [
        1,
        "Hours",
        "USD",
        "bill",
        24,
    ]


@pytest.mark.parametrize(
    "periods",
    [
        [(DAY, 1, "24")],
        [(DAY - timedelta(days=i), 1, "24") for i in range(30)],
        [(DAY - timedelta(days=29), 30, "720")],
        [(DAY - timedelta(days=29), 30, "360"), (DAY - timedelta(days=29), 30, "360")],
    ],
    ids=["a day", "every day", "a month", "two meters"],
)
def test_the_price_of_a_capacity_is_the_same_however_long_the_charges_are(db: Any, periods: list[tuple[date, int, str]]) -> None:
    limit(db, 0, "cpu", "cpu", limit_value=8.0)
    usage(db, 1, "cpu", {"host.id": "h"}, 2.0)
    for day, days, cost in periods:
        charge(db, "h", cost, day, days)
    row = resources(db)["h/cpu"]
    assert (row["unit_price"], row["billing_currency"], row["price_source"]) == (pytest.approx(720 / 8), "USD", "bill")


def test_charges_over_30_days_old_do_not_count(db: Any) -> None:
    usage(db, 1, "x", {"host.id": "h"}, 2.0)
    charge(db, "h", "24", DAY - timedelta(days=30))
    assert resources(db)["h"]["effective_cost_30d"] is None
    charge(db, "h", "10", DAY - timedelta(days=29))
    assert resources_again(db)["h"]["effective_cost_30d"] == 10


def resources_again(db: Any) -> dict[str, dict[str, Any]]:
    return {row["resource_id"]: row for row in db.run("core.resources", DAY)}


def test_one_bill_prices_one_kind_and_the_configuration_the_others(db: Any) -> None:
    limit(db, 0, "memory", "mem", limit_value=16 * GIB, unit="By")
    limit(db, 1, "cpu", "cpu", limit_value=8.0, unit="{cpu}")
    usage(db, 1, "cpu", {"host.id": "h"}, 2.0)
    usage(db, 2, "mem", {"host.id": "h"}, 2.0)
    charge(db, "h", "24")
    db.fill(
        "meta.prices",
        {"rank": 0, "kind": "memory", "pattern": "^other", "unit_price": 9.0, "currency": "EUR", "unit": "GiBy"},
        {"rank": 1, "kind": "memory", "unit_price": 3.0, "currency": "EUR", "unit": "GiBy"},
        {"rank": 2, "kind": "memory", "unit_price": 7.0, "currency": "EUR", "unit": "By"},
    )
    found = resources(db)
    assert (found["h/cpu"]["unit_price"], found["h/cpu"]["price_source"]) == (pytest.approx(90), "bill")
    memory = found["h/memory"]
    assert (memory["unit_price"], memory["billing_currency"], memory["price_source"]) == (pytest.approx(3 / GIB), "EUR", "config")


def test_unused_commitments_and_purchases_are_no_price(db: Any) -> None:
    charge(db, "plan", "50", CommitmentDiscountStatus="Unused")
    charge(db, "plan", "100", ChargeCategory="Purchase")
    row = resources(db)["plan"]
    assert (row["unit_price"], row["effective_cost_30d"]) == (None, 150)


def test_a_credit_is_a_cost_but_no_price(db: Any) -> None:
    charge(db, "h", "24")
    charge(db, "h", "-20", ChargeCategory="Credit")
    row = resources(db)["h"]
    assert (row["unit_price"], row["effective_cost_30d"]) == (1, 4)


def test_the_currency_with_the_most_cost_prices(db: Any) -> None:
    charge(db, "h", "24")
    charge(db, "h", "240", BillingCurrency="EUR")
    row = resources(db)["h"]
    assert (row["unit_price"], row["billing_currency"]) == (10, "EUR")


def test_the_service_of_most_series_names_a_host(db: Any) -> None:
    usage(db, 1, "a", {"instance": "h", "job": "node"}, 1.0)
    usage(db, 2, "b", {"instance": "h", "job": "api"}, 1.0)
    usage(db, 3, "c", {"instance": "h", "job": "api"}, 1.0)
    assert resources(db)["h"]["service"] == "api"


def test_a_limit_is_forgotten_after_a_day_whatever_the_window(db: Any) -> None:
    limit(db, 0, "disk", "disk.used", limit_metric="disk.size")
    usage(db, 1, "disk.used", {"host.id": "h"}, *([5.0] * 40), start="00:00")
    usage(db, 2, "disk.size", {"host.id": "h"}, 100.0, start="10:00")
    rows = db.run("core.resource_usage_1h", DAY, DAY + timedelta(days=2))
    assert [row["capacity"] for row in rows] == [None] * 10 + [100] * 25 + [None] * 5
    assert rows[24:] == db.run("core.resource_usage_1h", DAY + timedelta(days=1))
