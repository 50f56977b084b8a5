"""Right sizes and their replay, against plain loops and by hand."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import polars as pl
import pytest

from models.cost import POLICIES, Peak, Percentile, ReturnLevel, replay, rightsize

START = datetime.fromisoformat("2026-01-05")
RESULT = ["resource_id", "policy", "recommended", "allocated", "saving_per_month", "confidence", "status"]


def usage(resource_id: str, used: list[float], *, step: timedelta = timedelta(hours=1)) -> pl.DataFrame:
    """Samples of one resource from START on."""
    times = [START + i * step for i in range(len(used))]
    return pl.DataFrame({"resource_id": [resource_id] * len(used), "time": times, "used": [float(u) for u in used]})


def allocation(resource_id: str, allocated: float | None, *, kind: str = "cpu", price: float | None = 0.05) -> pl.DataFrame:
    """One allocation."""
    return pl.DataFrame(
        {"resource_id": [resource_id], "resource_kind": [kind], "allocated": [allocated], "unit_price": [price]},
        schema={
            "resource_id": pl.String,
            "resource_kind": pl.String,
            "allocated": pl.Float64,
            "unit_price": pl.Float64,
        },
    )


def noisy(days: int, level: float, seed: int = 1) -> list[float]:
    """Hourly use with a daily wave and noise."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    return list(np.abs(level * (1 + 0.3 * np.sin(hours / 24 * 2 * math.pi)) + rng.normal(0, 0.05 * level, hours.size)))


def percentile_by_hand(values: list[float], percent: float) -> float:
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    at = percent / 100 * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def return_level_by_hand(values: list[float], period: float) -> float:
    """Gumbel by moments on the peaks of 24-hour days."""
    peaks = [max(values[i : i + 24]) for i in range(0, len(values), 24)]
    beta = stdev(peaks) * math.sqrt(6) / math.pi
    return mean(peaks) - 0.5772156649015329 * beta - beta * math.log(-math.log(1 - 1 / period))


@pytest.mark.parametrize(
    ("policy", "demand"),
    [
        (Peak(headroom=0.2), max),
        (Percentile(percentile=95, headroom=0.2), lambda v: percentile_by_hand(v, 95)),
        (Percentile(percentile=99, headroom=0.2), lambda v: percentile_by_hand(v, 99)),
        (ReturnLevel(period_days=30, headroom=0.2), lambda v: return_level_by_hand(v, 30)),
    ],
)
def test_recommendation_is_demand_and_headroom_in_steps(policy, demand):
    used = noisy(14, 2.0)
    row = rightsize(usage("a", used), allocation("a", 16.0), policy=policy).row(0, named=True)
    expected = math.ceil(demand(used) * 1.2 / 0.25) * 0.25
    assert row["recommended"] == pytest.approx(expected)
    assert row["saving_per_month"] == pytest.approx((16.0 - expected) * 0.05)
    assert row["status"] == "ok"


def test_result_columns_and_order_of_resources():
    allocations = pl.concat([allocation("b", 8), allocation("a", 8), allocation("c", 8)])
    result = rightsize(pl.concat([usage("a", noisy(8, 1)), usage("b", noisy(8, 1))]), allocations, policy="p95")
    assert result.columns == RESULT
    assert result["resource_id"].to_list() == ["b", "a", "c"]
    assert result["status"].to_list() == ["ok", "ok", "not_enough_data"]
    assert result.row(2)[2:6] == (None, None, None, None)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_never_above_the_allocation_unless_it_is_filled(policy):
    calm = rightsize(usage("a", noisy(14, 2.5)), allocation("a", 4.0), policy=policy).row(0, named=True)
    assert calm["recommended"] <= 4.0
    full = rightsize(usage("a", [3.99] * 24 * 14), allocation("a", 4.0), policy=policy).row(0, named=True)
    assert full["recommended"] > 4.0
    assert full["saving_per_month"] < 0


def test_demand_near_the_allocation_but_not_cut_off_keeps_it():
    row = rightsize(usage("a", [3.7] * 24 * 14), allocation("a", 4.0), policy=Peak(headroom=0.5)).row(0, named=True)
    assert row["recommended"] == 4.0
    assert row["saving_per_month"] == 0


def test_a_cut_under_a_fifth_is_not_proposed_unless_asked_for():
    used = usage("a", [2.8] * 24 * 14)
    assert rightsize(used, allocation("a", 4.0), policy=Peak())["recommended"].item() == 4.0
    assert rightsize(used, allocation("a", 4.0), policy=Peak(min_change=0.05))["recommended"].item() == 3.25


def test_what_breaks_when_short_is_never_cut_below_its_peak():
    used = [1e9] * (24 * 14 - 1) + [6e9]
    policy = Percentile(percentile=95, headroom=0.1)
    hard = rightsize(usage("a", used), allocation("a", 16e9, kind="memory"), policy=policy).row(0, named=True)
    soft = rightsize(usage("a", used), allocation("a", 16e9, kind="other"), policy=policy).row(0, named=True)
    assert hard["recommended"] >= 6e9 * 1.1
    assert soft["recommended"] == pytest.approx(1.1e9)


def test_growth_until_the_next_review_is_kept_and_noise_is_not_growth():
    growing = [20e9 + 1e9 * (hour // 24) for hour in range(24 * 30)]
    policy = Peak(headroom=0.0, review_days=30)
    row = rightsize(usage("a", growing), allocation("a", 200e9, kind="disk"), policy=policy).row(0, named=True)
    assert row["recommended"] == pytest.approx(49e9 + 30e9, rel=0.02)
    flat = noisy(30, 20e9)
    row = rightsize(usage("a", flat), allocation("a", 200e9, kind="disk"), policy=policy).row(0, named=True)
    assert row["recommended"] == pytest.approx(max(flat), abs=2**30)


def test_confidence_falls_with_short_patchy_and_unsteady_history():
    def confidence(used: pl.DataFrame) -> float:
        return rightsize(used, allocation("a", 8.0), policy="p99")["confidence"].item()

    steady = usage("a", [2.0] * 24 * 14)
    assert confidence(steady) == pytest.approx(1.0)
    assert confidence(usage("a", [2.0] * 24 * 7)) == pytest.approx(0.5)
    assert confidence(steady.filter(pl.col("time").dt.day() % 2 == 0)) < 0.6
    assert confidence(usage("a", [1.0] * 24 * 7 + [4.0] * 24 * 7)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("allocations", "status"),
    [
        (allocation("a", 0.0), "failed:the allocation is unknown or not above zero"),
        (allocation("a", None), "failed:the allocation is unknown or not above zero"),
        (allocation("a", math.inf), "failed:the allocation is unknown or not above zero"),
        (pl.concat([allocation("a", 1.0), allocation("a", 2.0)]), "failed:more than one allocation for the resource"),
        (allocation("other", 4.0), "not_enough_data"),
    ],
)
def test_flawed_allocations_say_so_and_carry_nulls(allocations, status):
    row = rightsize(usage("a", noisy(14, 1)), allocations, policy="peak").row(0, named=True)
    assert row["status"] == status
    assert row["recommended"] is row["allocated"] is row["saving_per_month"] is row["confidence"] is None


def test_unknown_price_recommends_without_a_saving():
    row = rightsize(usage("a", noisy(14, 1)), allocation("a", 8.0, price=None), policy="peak").row(0, named=True)
    assert row["status"] == "ok"
    assert row["recommended"] < 8
    assert row["saving_per_month"] is None


@pytest.mark.parametrize("used", [[], [1.0], [1.0, 2.0], [math.nan] * 400, [-1.0] * 400, [math.inf] * 400])
def test_too_little_usage_is_not_enough_data(used):
    frame = usage("a", used).cast({"resource_id": pl.String, "time": pl.Datetime("us"), "used": pl.Float64})
    assert rightsize(frame, allocation("a", 8.0), policy="p99")["status"].item() == "not_enough_data"


def test_dirty_rows_change_nothing():
    clean = usage("a", noisy(14, 1))
    dirty = pl.concat([clean.sample(fraction=1.0, shuffle=True, seed=3), clean, usage("a", [math.nan])])
    dirty = dirty.filter(pl.col("used").is_not_nan() | (pl.col("time") != START))
    allocations = allocation("a", 8.0)
    assert rightsize(dirty, allocations, policy="p95").equals(rightsize(clean, allocations, policy="p95"))


def test_of_samples_with_one_time_the_last_counts():
    used = noisy(14, 1)
    doubled = pl.concat([usage("a", [7.0] * len(used)), usage("a", used)])
    allocations = allocation("a", 8.0)
    assert rightsize(doubled, allocations, policy="peak").equals(rightsize(usage("a", used), allocations, policy="peak"))


def test_no_resources_give_an_empty_result_with_all_columns():
    assert rightsize(usage("a", [1.0]), allocation("a", 1.0).clear(), policy="peak").columns == RESULT


def test_misuse_is_a_value_error():
    with pytest.raises(ValueError, match="no right-sizing policy 'p42'"):
        rightsize(usage("a", [1.0]), allocation("a", 1.0), policy="p42")
    with pytest.raises(ValueError, match=r"Percentile.percentile is 12; it must lie from 50 to 100"):
        Percentile(percentile=12)
    with pytest.raises(ValueError, match=r"Peak.headroom is -1"):
        Peak(headroom=-1)
    with pytest.raises(ValueError, match="steps must be above zero"):
        Peak(steps={"cpu": 0.0})
    with pytest.raises(ValueError, match="unit_price"):
        rightsize(usage("a", [1.0]), allocation("a", 1.0).drop("unit_price"), policy="peak")


def test_replay_counts_what_would_not_have_fitted():
    frame = pl.concat([usage("a", [1, 2, 3, 4]), usage("b", [1, 1])])
    plans = pl.DataFrame(
        {
            "resource_id": ["a", "a", "b", "c", "b"],
            "policy": ["x", "y", "x", "x", "none"],
            "recommended": [2.5, 4.0, 0.5, 1.0, None],
            "saving_per_month": [10.0, 5.0, 1.0, 0.0, None],
        }
    )
    assert replay(frame, plans).rows() == [
        ("a", "x", 4, 0.5, 1.5, 10.0),
        ("a", "y", 4, 0.0, 0.0, 5.0),
        ("b", "x", 2, 1.0, 0.5, 1.0),
        ("c", "x", 0, None, None, 0.0),
        ("b", "none", 2, None, None, None),
    ]


@pytest.mark.realdata
@pytest.mark.parametrize(("policy", "least_saving", "most_under"), [("peak", 0.3, 0.002), ("p95", 0.5, 0.04)])
def test_policies_on_real_machines_save_and_rarely_fall_short(realdata: Path, policy, least_saving, most_under):
    """50 Bitbrains machines: sized on the first half of the month, replayed on the second."""
    trace = pl.read_parquet(realdata / "opendc" / "bitbrains_small_trace.parquet")
    tasks = pl.read_parquet(realdata / "opendc" / "bitbrains_small_v2_tasks.parquet")
    used = trace.select(resource_id=pl.col("id").cast(pl.Int32), time="timestamp", used="cpu_usage")
    allocations = tasks.select(resource_id="id", resource_kind=pl.lit("cpu"), allocated="cpu_capacity", unit_price=pl.lit(0.00001))
    middle = pl.lit(datetime.fromisoformat("2013-08-27")).dt.replace_time_zone("UTC")
    sized = rightsize(used.filter(pl.col("time") < middle), allocations, policy=policy)
    result = replay(used.filter(pl.col("time") >= middle), sized.filter(pl.col("status") == "ok"))
    price = allocations.join(result, on="resource_id").select((pl.col("allocated") * pl.col("unit_price")).sum())
    assert result.height > 30
    assert result["saving_per_month"].sum() / price.item() > least_saving
    under = (result["share_under_demand"] * result["intervals"]).sum() / result["intervals"].sum()
    assert under < most_under
