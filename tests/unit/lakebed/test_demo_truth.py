"""The truth about the simulated company agrees with its files, and what it hides can be found fairly."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lakebed.demo import generate, read_truth

END = date(2026, 11, 22)
SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 days, sampled hourly."""
    folder = tmp_path_factory.mktemp(f"company{request.param}")
    generate(folder, seed=request.param, end=END, days=90, scale=0.1)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return read_truth(folder / "truth.json")


@pytest.fixture(scope="module")
def metrics(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "inputs" / "metrics" / "*.parquet")


@pytest.fixture(scope="module")
def bills(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Rows per file; the last version of a period holds."""
    return {f.stem: list(csv.DictReader(f.read_text().splitlines())) for f in sorted((folder / "inputs" / "bills").glob("*.csv"))}


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def final(bills: dict[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    return {name[6:13]: rows for name, rows in bills.items()}


def test_costs_sum_to_the_truth(bills: dict[str, list[dict[str, str]]], truth: dict[str, Any]) -> None:
    held = final(bills)
    assert set(held) == set(truth["costs_by_period"])
    total = {"BilledCost": Decimal(0), "EffectiveCost": Decimal(0), "ListCost": Decimal(0)}
    keys = {"BilledCost": "billed", "EffectiveCost": "effective", "ListCost": "listed"}
    for period, rows in held.items():
        for column, key in keys.items():
            cost = sum((Decimal(row[column]) for row in rows), Decimal(0))
            assert cost == Decimal(truth["costs_by_period"][period][key])
            total[column] += cost
    assert {keys[c]: v for c, v in total.items()} == {k: Decimal(v) for k, v in truth["costs"].items()}
    assert sum(map(len, bills.values())) == truth["counts"]["bill_rows"]
    assert sum(map(len, held.values())) == truth["counts"]["bill_rows_after_reissue"]


def test_one_period_is_issued_twice_with_other_costs(bills: dict[str, list[dict[str, str]]], truth: dict[str, Any]) -> None:
    period = truth["reissued_period"]
    assert [n for n in bills if n.endswith("v2")] == [f"focus-{period}-v2"]
    first = sum(Decimal(r["BilledCost"]) for r in bills[f"focus-{period}-v1"])
    assert first > Decimal(truth["costs_by_period"][period]["billed"])


def test_bill_keeps_the_rules_of_focus(bills: dict[str, list[dict[str, str]]]) -> None:
    from warehouse.contracts.focus import ENUMERATIONS, FOCUS_COLUMNS

    known = {column.name for column in FOCUS_COLUMNS}
    for rows in bills.values():
        assert set(rows[0]) <= known
        for row in rows:
            assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
            for column, allowed in ENUMERATIONS.items():
                assert row.get(column, "") in ("", *allowed)
            if row["ChargeCategory"] == "Usage" and row["PricingQuantity"]:
                assert Decimal(row["ListCost"]) == Decimal(row["PricingQuantity"]) * Decimal(row["ListUnitPrice"])
                assert Decimal(row["ContractedCost"]) == Decimal(row["PricingQuantity"]) * Decimal(row["ContractedUnitPrice"])
            if row["ChargeCategory"] == "Credit":
                assert Decimal(row["BilledCost"]) < 0


def test_every_billed_resource_reports_telemetry(bills: dict[str, list[dict[str, str]]], metrics: pl.DataFrame) -> None:
    billed = {row["ResourceId"] for rows in bills.values() for row in rows} - {""}
    measured = set(metrics["cloud.resource_id"].drop_nulls().unique())
    assert billed == measured


def test_commitment_is_wasted_as_told(bills: dict[str, list[dict[str, str]]], truth: dict[str, Any]) -> None:
    rows = [row for period in final(bills).values() for row in period]
    told = truth["commitment"]

    def cost(status: str) -> Decimal:
        mine = [r for r in rows if r["CommitmentDiscountStatus"] == status and r["CommitmentDiscountId"] == told["commitment_id"]]
        return sum((Decimal(r["EffectiveCost"]) for r in mine), Decimal(0))

    assert cost("Used") == Decimal(told["used"])
    assert cost("Unused") == Decimal(told["unused"])
    assert Decimal(told["used"]) + Decimal(told["unused"]) == Decimal(told["committed"])
    assert 0.5 < told["utilisation"] < 0.7


def test_savings_follow_from_the_bill(bills: dict[str, list[dict[str, str]]], truth: dict[str, Any]) -> None:
    day = [r for r in final(bills)["2026-11"] if r["ChargePeriodStart"].startswith("2026-11-10")]
    per_day = {r["ResourceId"]: Decimal(r["EffectiveCost"]) for r in day if r["ResourceId"]}
    for idle in truth["idle"]:
        assert abs(per_day[idle["resource_id"]] * 30 - Decimal(idle["saving_per_month"])) <= Decimal("0.01")
    for big in truth["oversized"]:
        share = Decimal(str((big["allocated"] - big["needed"]) / big["allocated"]))
        assert abs(per_day[big["resource_id"]] * 30 * share - Decimal(big["saving_per_month"])) <= Decimal("0.01")
        assert big["needed"] <= big["allocated"] / 2


def test_incidents_are_in_order_and_means_follow(truth: dict[str, Any]) -> None:
    incidents = truth["incidents"]
    assert len(incidents) == 8
    assert len({i["service"] for i in incidents}) == 8
    resolve = []
    for incident in incidents:
        times = [when(incident[k]) for k in ("started", "opened", "acknowledged", "resolved")]
        assert times == sorted(times)
        assert times[0].date() >= when(truth["first_day"]).date()
        assert times[-1].date() <= END
        resolve.append((times[3] - times[1]).total_seconds())
    means = truth["incident_means"]
    assert means["mttr_s"] == pytest.approx(np.mean(resolve))
    assert means["mttd_count"] == sum(i["start_recorded"] for i in incidents) < means["count"] == 8
    assert sum(m["count"] for m in truth["incident_means_by_month"].values()) == 8


def test_roles_are_disjoint_and_numerous(truth: dict[str, Any]) -> None:
    idle = {r["resource_id"] for r in truth["idle"]}
    big = {r["resource_id"] for r in truth["oversized"]}
    used = set(truth["well_used"])
    assert len(idle) >= 5
    assert len(big) >= 5
    assert len(used) >= 20
    assert not idle & big
    assert not (idle | big) & used


def test_use_of_machines_tells_their_role(metrics: pl.DataFrame, truth: dict[str, Any]) -> None:
    cpu = metrics.filter(pl.col("metric") == "system.cpu.cores_used").with_columns(
        (pl.col("value") / pl.col("limit").cast(pl.Float64)).alias("share")
    )
    high = dict(cpu.group_by("cloud.resource_id").agg(pl.col("share").quantile(0.99)).iter_rows())
    assert max(high[r["resource_id"]] for r in truth["idle"]) < 0.06
    assert min(high[r["resource_id"]] for r in truth["oversized"]) > 0.1
    assert max(high[r["resource_id"]] for r in truth["oversized"]) < 0.42
    assert min(high[r] for r in truth["well_used"]) > 0.60


def naive_crossing(series: pl.DataFrame, limit: float) -> float:
    """Days after the end at which the straight line through the daily 99th percentiles reaches the limit."""
    daily = series.group_by(pl.col("time").dt.date()).agg(pl.col("value").quantile(0.99)).sort("time").tail(56)
    days = np.arange(len(daily)) - len(daily) + 1.0
    slope, level = np.polyfit(days, daily["value"].to_numpy(), 1)
    return float((limit - level) / slope)


@pytest.mark.parametrize(("kind", "metric"), [("disk", "system.filesystem.usage"), ("pool", "db.client.connection.count")])
def test_saturation_is_ahead_and_within_reach_of_a_straight_line(
    metrics: pl.DataFrame, truth: dict[str, Any], kind: str, metric: str
) -> None:
    told = next(s for s in truth["saturations"] if s["kind"] == kind)
    assert 15 < told["days_after_end"] < 60
    ends = datetime(END.year, END.month, END.day, tzinfo=UTC) + timedelta(days=1)
    assert when(told["crosses"]) - ends == timedelta(days=told["days_after_end"])
    same = metrics.filter((pl.col("metric") == metric) & (pl.col("cloud.resource_id") == told["resource_id"]))
    assert same["value"].max() < told["limit"]
    assert abs(naive_crossing(same, told["limit"]) - told["days_after_end"]) < 10


def test_other_disks_and_pools_last_for_months(metrics: pl.DataFrame, truth: dict[str, Any]) -> None:
    full = {s["resource_id"] + s["kind"] for s in truth["saturations"]}
    for kind, used, size in (
        ("disk", "system.filesystem.usage", "system.filesystem.limit"),
        ("pool", "db.client.connection.count", "db.client.connection.max"),
    ):
        limits = metrics.filter(pl.col("metric") == size).group_by("cloud.resource_id").agg(pl.col("value").max())
        for resource, limit in limits.iter_rows():
            if resource + kind not in full:
                series = metrics.filter((pl.col("metric") == used) & (pl.col("cloud.resource_id") == resource))
                crossing = naive_crossing(series, limit)
                assert crossing < 0 or crossing > 120, (kind, resource, crossing)


def test_deploys_shift_latency_by_what_is_told(metrics: pl.DataFrame, truth: dict[str, Any]) -> None:
    assert [d["relative_latency_change"] > 0 for d in truth["deploys"]].count(True) == 1
    for deploy in truth["deploys"]:
        series = metrics.filter(
            (pl.col("metric") == "http.server.request.latency")
            & (pl.col("service.name") == deploy["service"])
            & (pl.col("quantile") == "0.5")
        )
        at = when(deploy["time"])
        before = series.filter(pl.col("time").is_between(at - timedelta(days=7), at))["value"].median()
        after = series.filter(pl.col("time").is_between(at, at + timedelta(days=7)))["value"].median()
        assert isinstance(before, float)
        assert isinstance(after, float)
        assert after / before - 1 == pytest.approx(deploy["relative_latency_change"], abs=0.04)
        assert abs(deploy["relative_latency_change"]) > 0.15


def test_incidents_raise_the_latency_of_their_service(metrics: pl.DataFrame, truth: dict[str, Any]) -> None:
    for incident in truth["incidents"]:
        series = metrics.filter(
            (pl.col("metric") == "http.server.request.latency") & (pl.col("service.name") == incident["service"])
        ).filter(pl.col("quantile") == "0.5")
        start, stop = when(incident["started"]), when(incident["resolved"])
        during = series.filter(pl.col("time").is_between(start, stop - timedelta(minutes=10)))["value"]
        usual = series.filter(pl.col("time").is_between(start - timedelta(days=2), start - timedelta(hours=1)))["value"]
        if len(during):
            assert during.mean() > usual.median(), incident["title"]  # type: ignore[operator]


def test_what_was_hidden_runs_out_and_only_limited_resources_do(truth: dict[str, Any]) -> None:
    injected = {f"{s['resource_id']}/{s['kind']}" for s in truth["saturations"]}
    assert injected <= set(truth["running_out"])
    assert len(truth["running_out"]) <= 4
