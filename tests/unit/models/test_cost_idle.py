"""Idle resources: quiet ones are found, quiet ones with a job are not."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.cost import IdlePolicy, idle

START = datetime.fromisoformat("2026-03-02")
RESULT = [
    "resource_id",
    "is_idle",
    "idle_share",
    "mean_utilisation",
    "p95_utilisation",
    "saving_per_month",
    "confidence",
    "status",
]


def judged(used: np.ndarray, *, allocated: float = 8.0, kind: str = "cpu", price: float | None = 0.04, step_minutes: int = 5):
    """The verdict on one resource."""
    times = [START + timedelta(minutes=step_minutes * i) for i in range(len(used))]
    usage = pl.DataFrame(
        {"resource_id": ["a"] * len(used), "time": times, "used": used},
        schema={"resource_id": pl.String, "time": pl.Datetime("us"), "used": pl.Float64},
    )
    allocations = pl.DataFrame(
        {"resource_id": ["a"], "resource_kind": [kind], "allocated": [allocated], "unit_price": [price]},
        schema_overrides={"unit_price": pl.Float64},
    )
    result = idle(usage, allocations)
    assert result.columns == RESULT
    return result.row(0, named=True)


def background(days: int = 14, seed: int = 0) -> np.ndarray:
    """5-min CPU use of a machine on which only its own agents run: about 1% of 8 cores."""
    return np.abs(np.random.default_rng(seed).normal(0.08, 0.04, days * 288))


def test_figures_against_plain_loops():
    used = background()
    row = judged(used)
    shares = [u / 8.0 for u in used]
    assert row["is_idle"] is True
    assert row["idle_share"] == pytest.approx(sum(s < 0.05 for s in shares) / len(shares))
    assert row["mean_utilisation"] == pytest.approx(math.fsum(shares) / len(shares))
    assert row["p95_utilisation"] == pytest.approx(float(np.quantile(np.array(shares), 0.95)))
    assert row["saving_per_month"] == pytest.approx(8 * 0.04)
    assert row["confidence"] > 0.9


def test_a_used_resource_is_not_idle_and_saves_nothing():
    row = judged(background() + 2.0)
    assert row["is_idle"] is False
    assert row["saving_per_month"] == 0


@pytest.mark.parametrize("every_days", [1, 7])
def test_a_recurring_job_is_use(every_days):
    used = background(28)
    for day in range(2, 28, every_days):
        used[day * 288 : day * 288 + 12] = 6.0
    assert judged(used)["is_idle"] is False


def test_one_restart_in_two_weeks_is_not_use():
    used = background()
    used[1000:1012] = 6.0
    assert judged(used)["is_idle"] is True


def test_short_spikes_of_an_agent_are_not_use():
    used = background()
    used[::288] = 1.0
    assert judged(used)["is_idle"] is True


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ({"used": background(3)}, "not_enough_data"),
        ({"used": np.array([])}, "not_enough_data"),
        ({"used": np.full(5000, math.nan)}, "not_enough_data"),
        ({"used": background(), "allocated": 0.0}, "failed:the allocation is unknown or not above zero"),
        ({"used": background(), "kind": "memory"}, "failed:how full it is does not show whether it is used"),
    ],
)
def test_no_verdict_without_grounds(case, status):
    row = judged(**case)
    assert row["status"] == status
    assert all(row[name] is None for name in RESULT[1:-1])


def test_without_a_price_the_verdict_stands_and_the_saving_is_unknown():
    row = judged(background(), price=None)
    assert row["is_idle"] is True
    assert row["saving_per_month"] is None


def test_bounds_of_the_settings():
    with pytest.raises(ValueError, match=r"IdlePolicy.idle_below is 0.9; it must lie from 0 to 0.5"):
        IdlePolicy(idle_below=0.9)
