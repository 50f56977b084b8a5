"""Odd days of cost: found once, followed when they last, and judged by the past alone."""

from __future__ import annotations

import math
from datetime import date, timedelta
from statistics import median

import numpy as np
import polars as pl
import pytest
from scipy import stats

from models.cost import CostAnomalyPolicy, cost_anomalies

START = date(2026, 1, 5)
RESULT = ["key", "day", "cost", "expected", "excess", "score", "is_anomaly", "status"]


def weekly(days: int, *, level: float = 100.0, noise: float = 2.0, weekend: float = 0.6, seed: int = 0) -> np.ndarray:
    """Daily cost with cheaper weekends."""
    rng = np.random.default_rng(seed)
    factor = np.where(np.arange(days) % 7 >= 5, weekend, 1.0)
    return level * factor + rng.normal(0, noise, days)


def frame(costs, key: str = "shop") -> pl.DataFrame:
    """A daily frame from START."""
    return pl.DataFrame({"key": key, "day": [START + timedelta(days=i) for i in range(len(costs))], "cost": list(costs)})


def flagged(costs, **settings) -> list[int]:
    """Numbers of the days that are called odd."""
    result = cost_anomalies(frame(costs), policy=CostAnomalyPolicy(**settings))
    assert result.columns == RESULT
    return [i for i, odd in enumerate(result["is_anomaly"]) if odd]


def by_hand(costs: list[float], t: int, memory: int = 56) -> tuple[float, float]:
    """Expected cost and the profile-free level's error for day t with plain loops (no recurring charges, no gaps)."""

    def plain(at: int) -> tuple[float, float]:
        profile, doubt = [], []
        for weekday in range(7):
            seen = []
            for d in range(max(0, at - memory), max(0, at - 3)):
                window = costs[max(0, d - 3) : d + 4]
                if (d - at) % 7 == (weekday - at) % 7 and len(window) >= 4:
                    seen.append(costs[d] - median(window))
            profile.append(median(seen) * len(seen) / (len(seen) + 1) if seen else 0.0)
            doubt.append(abs(median(seen)) / (len(seen) + 1) if seen else 0.0)
        level = median(costs[d] - profile[d % 7] for d in range(at - 7, at))
        return level + profile[at % 7], doubt[at % 7]

    errors = [abs(costs[d] - plain(d)[0]) for d in range(max(7, t - memory), t)]
    expected, doubt = plain(t)
    return expected, max(1.4826 * median(errors), 0.01 * abs(expected), doubt)


def test_expected_and_score_against_plain_loops():
    costs = weekly(80, seed=4)
    result = cost_anomalies(frame(costs))
    for t in (14, 15, 30, 58, 79):
        expected, scale = by_hand(list(costs), t)
        row = result.row(t, named=True)
        assert row["expected"] == pytest.approx(expected)
        assert row["excess"] == pytest.approx(costs[t] - expected)
        assert row["score"] == pytest.approx(1 - 2 * stats.t.sf(abs(costs[t] - expected) / scale, 4))


def test_spike_and_drop_are_found_and_weekends_are_not():
    costs = weekly(90)
    costs[50] += 40
    costs[71] -= 40
    assert flagged(costs) == [50, 71]


def test_quiet_months_raise_few_alarms():
    alarms = sum(len(flagged(weekly(120, seed=seed))) for seed in range(20))
    assert alarms <= 4


def test_lasting_change_is_reported_for_at_most_four_days():
    costs = weekly(120)
    costs[60:] += 80
    found = flagged(costs)
    assert found[0] == 60
    assert set(found) <= {60, 61, 62, 63}


def test_fee_of_the_month_is_expected_from_the_second_time_on():
    costs = weekly(120)
    for i in range(120):
        if (START + timedelta(days=i)).day == 3:
            costs[i] += 60
    days = [(START + timedelta(days=i)) for i in flagged(costs)]
    assert days == [date(2026, 2, 3)]


def test_after_an_accident_the_same_day_of_the_next_month_is_ordinary():
    costs = weekly(120)
    costs[40] += 60
    assert flagged(costs) == [40]


def test_strictly_causal():
    costs = weekly(70, seed=2)
    costs[45] += 50
    whole = cost_anomalies(frame(costs))
    for end in (10, 20, 46, 60):
        assert cost_anomalies(frame(costs[:end])).equals(whole.head(end))


def test_keys_do_not_touch_each_other():
    a, b = weekly(60, seed=1), weekly(45, level=3.0, noise=0.1, seed=2)
    together = cost_anomalies(pl.concat([frame(b, "b"), frame(a, "a")]))
    assert together.filter(pl.col("key") == "a").equals(cost_anomalies(frame(a, "a")))
    assert together.filter(pl.col("key") == "b").equals(cost_anomalies(frame(b, "b")))


def test_first_days_are_not_enough_data():
    result = cost_anomalies(frame(weekly(20)))
    assert result["status"].to_list() == ["not_enough_data"] * 14 + ["ok"] * 6
    assert result["expected"].head(14).null_count() == result["is_anomaly"].head(14).null_count() == 14


def test_small_changes_and_small_sums_can_be_ignored():
    costs = np.full(40, 100.0)
    costs[30] = 108.0
    assert flagged(costs) == []
    assert flagged(costs, min_relative=0.05) == [30]
    assert flagged(costs, min_relative=0.05, min_excess=10.0) == []


@pytest.mark.parametrize(
    "costs",
    [[5.0] * 40, [0.0] * 40, [-3.0] * 40, [1.0, 2.0], [math.nan] * 30, [0.0] * 39 + [5.0], [1e12, 1e-12] * 20],
)
def test_odd_histories_give_results_without_a_warning(costs):
    result = cost_anomalies(frame(costs))
    known = result.filter(pl.col("status") == "ok")
    assert known.select(pl.all_horizontal(pl.col("expected", "score").is_finite()).all()).item()
    assert known["score"].is_between(0, 1).all()


def test_gaps_order_and_split_rows_do_not_matter():
    costs = frame(weekly(60))
    gaps = costs.filter(pl.col("day").dt.day() != 9)
    halves = pl.concat([gaps.with_columns(pl.col("cost") / 2)] * 2).sample(fraction=1.0, shuffle=True, seed=1)
    left, right = cost_anomalies(halves), cost_anomalies(gaps)
    assert left["day"].to_list() == gaps["day"].to_list()
    assert left["is_anomaly"].equals(right["is_anomaly"])
    assert cost_anomalies(costs.clear()).columns == RESULT


def test_bounds_of_the_settings():
    with pytest.raises(ValueError, match=r"threshold is 0; it must lie from 1 to 100"):
        CostAnomalyPolicy(threshold=0)
    with pytest.raises(ValueError, match=r"memory_days \(14\) must be at least min_days \(30\)"):
        CostAnomalyPolicy(memory_days=14, min_days=30)
