"""core.costs_daily and mart.cost_by_service_daily: to the last digit, credits, tags, commitments."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

at = datetime.fromisoformat
DAY = date(2026, 1, 1)


def charge(db: Any, billed: str, **more: Any) -> None:
    start = more.pop("start", at("2026-01-01"))
    cost = {name: Decimal(billed) for name in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")}
    row = {"source": "bill", "ChargePeriodStart": start, "ChargePeriodEnd": start + timedelta(hours=1), "BillingCurrency": "USD"}
    text = {"BillingAccountId": "a", "ChargeCategory": "Usage", "ProviderName": "AWS"}
    db.fill("raw.costs", {**row, **text, **cost, **more})


def test_charges_add_up_to_the_last_digit(db: Any) -> None:
    for cost in ("0.000000000001", "12345678901234.123456789012", "-0.000000000003"):
        charge(db, cost, Tags={"service": "api"})
    (row,) = db.run("core.costs_daily", DAY)
    assert row["billed_cost"] == Decimal("12345678901234.123456789010")
    assert (row["charge_count"], row["service"]) == (3, "api")


def test_the_tag_names_the_service_then_the_map_by_resource_then_nothing(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 1, "pattern": "i-0abc", "service": "batch", "team": "night"})
    charge(db, "1", Tags={"service": "api"})
    charge(db, "2", Tags={"user:service": "web"})
    charge(db, "3", ResourceId="arn:i-0abc")
    charge(db, "4")
    rows = db.run("core.costs_daily", DAY)
    assert {(r["service"], r["team"], int(r["billed_cost"])) for r in rows} == {
        ("api", None, 1),
        ("web", None, 2),
        ("batch", "night", 3),
        ("unknown", None, 4),
    }


def test_a_charge_belongs_to_the_day_its_period_starts_on(db: Any) -> None:
    charge(db, "1", start=at("2025-12-31 23:00"))
    charge(db, "2", start=at("2026-01-01 23:00"))
    charge(db, "4", start=at("2026-01-02 00:00"))
    assert [r["billed_cost"] for r in db.run("core.costs_daily", DAY)] == [2]


def test_what_a_bill_leaves_out_is_no_reason_to_lose_it(db: Any) -> None:
    charge(db, "1", ProviderName=None, PublisherName="Skylark", ListCost=None, ContractedCost=None)
    (row,) = db.run("core.costs_daily", DAY)
    assert (row["provider"], row["list_cost"], row["effective_cost"]) == ("Skylark", None, 1)


def test_cost_of_a_service(db: Any) -> None:
    charge(db, "10", Tags={"service": "api"}, ResourceId="r1")
    charge(db, "-3", Tags={"service": "api"}, ChargeCategory="Credit")
    charge(db, "2", Tags={"service": "api"}, ResourceId="r2", CommitmentDiscountId="c", CommitmentDiscountStatus="Unused")
    charge(db, "5", Tags={"service": "api"}, BillingCurrency="EUR")
    db.build("core.costs_daily", DAY)
    euro, dollar = db.run("mart.cost_by_service_daily", DAY)
    assert (euro["billing_currency"], euro["effective_cost"], euro["unused_commitment_cost"]) == ("EUR", 5, 0)
    assert [dollar[k] for k in ("billed_cost", "unused_commitment_cost", "resource_count")] == [9, 2, 2]
