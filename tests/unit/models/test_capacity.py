"""`models.capacity.plan`, `exceedance` and `what_if`: against a plain-loop Monte Carlo, properties, and odd input."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.capacity import exceedance, plan, what_if
from models.capacity.paths import (
    DECAY,
    FAR,
    INCIDENT,
    INCIDENT_STEPS,
    LASTING,
    chances,
    first_passage,
    incident_chance,
    normal_scores,
    quantile_at,
    reach_score,
    reached_by,
)
from models.forecast import forecast

NOW = datetime.fromisoformat("2026-11-23")
COLUMNS = [
    "resource_id",
    "limit",
    "p_exceed_by_lead_time",
    "exhaustion_p10",
    "exhaustion_p50",
    "exhaustion_p90",
    "headroom_now",
    "headroom_at_lead_time",
    "order_by",
    "add_capacity",
    "status",
]
Z = NormalDist()


def line(mean: np.ndarray, deviation: np.ndarray, key: str = "disk", hours: int = 24) -> pl.DataFrame:
    """Output of a forecast whose errors are normal with the given deviation at each step."""
    z80, z95 = Z.inv_cdf(0.9), Z.inv_cdf(0.975)
    return pl.DataFrame(
        {
            "series_id": [key] * mean.size,
            "time": [NOW + timedelta(hours=hours * (i + 1)) for i in range(mean.size)],
            "model": ["trend_season"] * mean.size,
            "mean": mean,
            "lo_80": mean - z80 * deviation,
            "hi_80": mean + z80 * deviation,
            "lo_95": mean - z95 * deviation,
            "hi_95": mean + z95 * deviation,
            "status": ["ok"] * mean.size,
        }
    )


def limits(limit: float | None, key: str = "disk") -> pl.DataFrame:
    return pl.DataFrame({"resource_id": [key], "limit": [limit]}, schema={"resource_id": pl.String, "limit": pl.Float64})


DAYS = np.arange(1, 91.0)
MEAN, DEVIATION = 60 + 0.5 * DAYS, 2 + 0.05 * DAYS


def test_linear_growth_with_normal_errors_matches_a_plain_loop_monte_carlo() -> None:
    found = plan(line(MEAN, DEVIATION), limits(80.0), lead_time="30d").row(0, named=True)
    source = random.Random(0)
    passed: list[int] = []
    for _ in range(4_000):
        lasting, day = source.gauss(0, 1), 1
        while day < 90:
            z = LASTING**0.5 * lasting + (1 - LASTING) ** 0.5 * source.gauss(0, 1)
            mean, deviation = 60 + 0.5 * day, 2 + 0.05 * day
            distance = max(1.0, (80 - mean) / (1.959964 * deviation * FAR))
            incident = day <= INCIDENT_STEPS and source.random() < INCIDENT * distance**-DECAY
            if mean + z * deviation >= 80 or incident:
                break
            day += 1
        passed.append(day)
    passed.sort()
    for share, name in ((0.1, "exhaustion_p10"), (0.5, "exhaustion_p50"), (0.9, "exhaustion_p90")):
        assert (found[name] - NOW) / timedelta(days=1) == pytest.approx(passed[int(share * 4_000)], abs=1.5)
    assert found["p_exceed_by_lead_time"] == pytest.approx(sum(day <= 30 for day in passed) / 4_000, abs=0.02)


def test_headroom_and_the_date_to_order_by() -> None:
    found = plan(line(MEAN, DEVIATION), limits(80.0), lead_time=timedelta(days=14), risk=0.05).row(0, named=True)
    assert found["headroom_now"] == pytest.approx(19.5)
    assert found["headroom_at_lead_time"] == pytest.approx(80 - 67)
    assert list(found) == COLUMNS
    chance = exceedance(line(MEAN, DEVIATION), limits(80.0))
    first = chance.filter(pl.col("p_exceeded_by") >= 0.05)["time"][0]
    assert timedelta(0) <= first - timedelta(days=14) - found["order_by"] < timedelta(days=1)
    late = plan(line(MEAN, DEVIATION), limits(80.0), lead_time="60d").row(0, named=True)
    assert late["order_by"] == NOW
    assert plan(line(MEAN, DEVIATION), limits(500.0), lead_time="60d")["order_by"].to_list() == [None]
    weekly = plan(line(MEAN, DEVIATION, hours=168), limits(80.0), lead_time="3d").row(0, named=True)
    assert weekly["headroom_at_lead_time"] == weekly["headroom_now"] == pytest.approx(19.5)


def test_the_chance_lies_between_comonotone_and_independent_days() -> None:
    scores = normal_scores([80, 95])
    values = MEAN[:, None] + DEVIATION[:, None] * scores
    reach, day = reach_score(values, scores, 80.0), np.arange(DAYS.size)
    at = 1 - np.array([Z.cdf(float(z)) for z in reach])
    found = reached_by(reach, day)
    assert (found >= np.maximum.accumulate(at) - 1e-12).all()
    assert (found <= 1 - np.cumprod(1 - at) + 1e-12).all()
    np.testing.assert_allclose(reached_by(reach, day, 0.0), 1 - np.cumprod(1 - at), atol=1e-9)
    np.testing.assert_allclose(reached_by(reach, np.zeros(DAYS.size, np.int64)), np.maximum.accumulate(at), atol=1e-9)


def test_incidents_reach_where_no_normal_error_does() -> None:
    scores, day = normal_scores([80, 95]), np.arange(DAYS.size)
    values = 50 + 0 * DAYS[:, None] + 2.0 * scores
    far, farther = (incident_chance(values, scores, 50 + 2 * 1.959964 * x) for x in (5, 10))
    np.testing.assert_allclose(far[:INCIDENT_STEPS] / farther[:INCIDENT_STEPS], 2**DECAY)
    assert (far[INCIDENT_STEPS:] == 0).all()
    reached = chances(values, scores, day, 50 + 2 * 1.959964 * 5)[1]
    assert reached[13] == pytest.approx(1 - (1 - INCIDENT * (5 / FAR) ** -DECAY) ** 14, abs=1e-9)
    np.testing.assert_array_equal(incident_chance(values * 0 + 50, scores, 60.0), 0)
    single = normal_scores([80])
    narrow = 50 + 0 * DAYS[:, None] + 2.0 * single
    np.testing.assert_allclose(incident_chance(narrow, single, 60.0), incident_chance(values, scores, 60.0))


def test_exceedance_step_by_step() -> None:
    found = exceedance(line(MEAN, DEVIATION), pl.concat([limits(80.0), limits(None, "other"), limits(1.0, "none")]))
    own = found.filter(pl.col("resource_id") == "disk")
    assert found.columns == ["resource_id", "time", "p_exceed", "p_exceeded_by", "status"]
    for i, (m, d, chance) in enumerate(zip(MEAN, DEVIATION, own["p_exceed"], strict=True)):
        incident = INCIDENT * max(1.0, (80 - m) / (1.959964 * d * FAR)) ** -DECAY if i < INCIDENT_STEPS else 0.0
        assert chance == pytest.approx(1 - Z.cdf((80 - m) / d) * (1 - incident), abs=1e-9)
    planned = plan(line(MEAN, DEVIATION), limits(80.0), lead_time="30d")["p_exceed_by_lead_time"][0]
    assert own["p_exceeded_by"][29] == planned
    assert found.filter(pl.col("status") != "ok").rows() == [
        ("other", None, None, None, "not_enough_data"),
        ("none", None, None, None, "not_enough_data"),
    ]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(0, 20)), min_size=2, max_size=20),
    st.floats(-60, 60),
    st.floats(0, 50),
    st.sampled_from([6, 24, 168]),
)
def test_chances_never_fall_with_time_and_never_rise_with_capacity(
    steps: list[tuple[float, float]], limit: float, more: float, hours: int
) -> None:
    made = line(*np.array(steps).T, hours=hours)
    less, greater = (exceedance(made, limits(at)) for at in (limit, limit + more))
    for found in (less, greater):
        assert (found["p_exceeded_by"].diff().drop_nulls() >= 0).all()
        assert (found["p_exceeded_by"] - found["p_exceed"] >= -1e-9).all()
        assert found["p_exceeded_by"].is_between(0, 1).all()
    assert (less["p_exceeded_by"] - greater["p_exceeded_by"] >= -1e-9).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 20)), min_size=2, max_size=70),
    st.floats(-60, 200),
    st.sampled_from([0.001, 0.05, 0.5]),
)
def test_added_capacity_is_enough_and_no_more(steps: list[tuple[float, float]], limit: float, risk: float) -> None:
    made = line(*np.array(steps).T)
    lead = timedelta(days=len(steps))
    add = plan(made, limits(limit), lead_time=lead, risk=risk)["add_capacity"][0]
    after = plan(made, limits(limit + add), lead_time=lead, risk=risk)["p_exceed_by_lead_time"][0]
    assert after <= risk + 1e-6
    if add > 0:
        assert after == pytest.approx(risk, abs=1e-6)


def changes(*rows: tuple[str | None, datetime | None, float | None, float | None]) -> pl.DataFrame:
    schema = {"resource_id": pl.String, "start": pl.Datetime("us"), "factor": pl.Float64, "add": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_what_if_changes_means_and_bands_from_the_start_on() -> None:
    made = pl.concat([line(MEAN, DEVIATION), line(MEAN, DEVIATION, "cpu")])
    assert what_if(made, changes((None, None, 1.0, None), ("cpu", NOW, None, 0.0))).equals(made)
    assert what_if(made, changes()).equals(made)
    later = NOW + timedelta(days=10)
    found = what_if(made, changes(("cpu", later, 2.0, 1.0), (None, None, None, 3.0)))
    assert found.select("series_id", "time", "status").equals(made.select("series_id", "time", "status"))
    for name in ("mean", "lo_95", "hi_80"):
        for before, after in zip(made.iter_rows(named=True), found.iter_rows(named=True), strict=True):
            hit = before["series_id"] == "cpu" and before["time"] >= later
            assert after[name] == pytest.approx(before[name] * 2 + 1 + 3 if hit else before[name] + 3)
    with pytest.raises(ValueError, match="factor -1"):
        what_if(made, changes(("cpu", None, -1.0, None)))


def test_added_capacity_brings_the_risk_down_to_what_was_asked() -> None:
    for risk in (0.01, 0.05, 0.2):
        add = plan(line(MEAN, DEVIATION), limits(76.0), lead_time="45d", risk=risk)["add_capacity"][0]
        after = plan(line(MEAN, DEVIATION), limits(76.0 + add), lead_time="45d", risk=risk)
        assert after["p_exceed_by_lead_time"][0] == pytest.approx(risk, abs=1e-6)
        assert after["add_capacity"][0] == pytest.approx(0.0, abs=1e-9)


def test_dates_beyond_the_forecast_are_null() -> None:
    found = plan(line(MEAN, DEVIATION), limits(1000.0), lead_time="30d").row(0, named=True)
    assert found["status"] == "ok"
    assert [found[name] for name in (*COLUMNS[3:6], "order_by")] == [None] * 4
    assert found["p_exceed_by_lead_time"] == pytest.approx(0.0, abs=1e-3)
    assert found["add_capacity"] == 0.0


def test_a_resource_over_its_limit_is_exhausted_now() -> None:
    found = plan(line(MEAN, DEVIATION * 0), limits(50.0), lead_time="1d").row(0, named=True)
    assert found["p_exceed_by_lead_time"] == 1.0
    assert found["exhaustion_p10"] == found["exhaustion_p90"] == NOW + timedelta(days=1)
    assert found["headroom_now"] < 0


def test_the_smallest_numbers_do_not_overflow() -> None:
    made = line(np.zeros(MEAN.size), np.full(MEAN.size, 1.1e-308))
    assert plan(made, limits(1.0), lead_time="30d")["p_exceed_by_lead_time"][0] < 0.05


def test_use_that_stands_at_its_limit_hides_what_is_wanted() -> None:
    still = np.full(MEAN.size, 76.0)
    found = plan(line(still, DEVIATION * 0), limits(76.0), lead_time="30d").row(0, named=True)
    assert (found["p_exceed_by_lead_time"], found["add_capacity"]) == (1.0, None)
    over = plan(line(still, DEVIATION * 0), limits(70.0), lead_time="30d").row(0, named=True)
    assert over["add_capacity"] == pytest.approx(6.0)


def test_a_lead_time_shorter_than_a_step_is_judged_by_the_step_it_ends_in() -> None:
    hours, day = (plan(line(MEAN, DEVIATION), limits(60.0), lead_time=lead).row(0, named=True) for lead in ("6h", "1d"))
    for name in ("p_exceed_by_lead_time", "headroom_at_lead_time", "add_capacity"):
        assert hours[name] == day[name]
    assert hours["p_exceed_by_lead_time"] > 0
    longer, two = (plan(line(MEAN, DEVIATION), limits(60.0), lead_time=lead).row(0, named=True) for lead in ("36h", "2d"))
    assert longer["p_exceed_by_lead_time"] == two["p_exceed_by_lead_time"]


def test_capacity_for_use_of_a_size_that_its_errors_vanish_in() -> None:
    mean = np.full(MEAN.size, 1e18)
    found = plan(line(mean, np.full(MEAN.size, 1e-3)), limits(1e17), lead_time="10d").row(0, named=True)
    assert found["add_capacity"] >= 9e17


def test_daily_peaks_count_in_hourly_forecasts() -> None:
    hours = np.arange(1, 24 * 40 + 1)
    mean = 50 + hours / 24 + 10 * np.sin(2 * np.pi * hours / 24)
    found = plan(line(mean, np.full(hours.size, 1e-6), hours=1), limits(80.0), lead_time="15d").row(0, named=True)
    first = NOW + timedelta(hours=int(hours[np.argmax(mean >= 80)]))
    assert abs(found["exhaustion_p50"] - first) <= timedelta(hours=1)
    assert found["headroom_now"] == pytest.approx(80 - mean[:24].max())


def test_forecast_to_plan_finds_the_day_a_growing_disk_is_full() -> None:
    t = np.arange(24 * 70)
    used = 500 + 4.0 * t / 24 + 15 * np.sin(2 * np.pi * t / 24) + np.random.default_rng(2).normal(0, 5, t.size)
    frame = pl.DataFrame({"series_id": ["vm/disk"] * t.size, "time": [NOW - timedelta(hours=int(t.size - i)) for i in t], "value": used})
    made = forecast(frame, horizon=60 * 24, freq="1h", models=["trend_season", "level_season", "ets"])
    found = plan(made, limits(930.0, "vm/disk"), lead_time="14d").row(0, named=True)
    full = NOW + timedelta(days=(930 - 15 - 500) / 4.0 - 70)
    assert abs(found["exhaustion_p50"] - full) < timedelta(days=4)
    assert found["exhaustion_p10"] <= found["exhaustion_p50"] <= found["exhaustion_p90"]
    assert found["p_exceed_by_lead_time"] < 0.05


def test_lead_times_units_and_statuses_per_resource() -> None:
    wanted = pl.DataFrame(
        {
            "resource_id": ["disk", "none", "no_limit", "bad", "far", "disk2"],
            "limit": [80.0, 1.0, None, 1.0, 80.0, 80.0],
            "unit": ["GiBy"] * 6,
            "lead_time": [timedelta(days=60), None, None, None, timedelta(days=91), None],
        }
    )
    parts = [line(MEAN, DEVIATION, key) for key in ("disk", "no_limit", "far", "disk2")]
    empty = line(MEAN[:1], DEVIATION[:1], "bad").with_columns(
        mean=pl.lit(None, pl.Float64), time=pl.lit(None, pl.Datetime("us")), status=pl.lit("failed:why")
    )
    found = plan(pl.concat([*parts, empty]), wanted, lead_time="30d")
    status = dict(found.select("resource_id", "status").iter_rows())
    assert status["none"] == "not_enough_data"
    assert status["bad"] == "failed:why"
    assert status["no_limit"].startswith("failed:the limit")
    assert status["far"].startswith("failed:the forecast ends before the lead time")
    chance = dict(found.select("resource_id", "p_exceed_by_lead_time").iter_rows())
    assert chance["disk"] > chance["disk2"] > 0
    assert found["unit"].to_list() == ["GiBy"] * 6
    assert found.filter(pl.col("status") != "ok").select(COLUMNS[2:-1]).null_count().sum_horizontal().item() == 4 * 8


def test_empty_input_and_misuse() -> None:
    assert plan(line(MEAN, DEVIATION), limits(1.0).clear(), lead_time="1d").columns == COLUMNS
    assert plan(line(MEAN, DEVIATION).clear(), limits(1.0), lead_time="1d")["status"].to_list() == ["not_enough_data"]
    with pytest.raises(ValueError, match="risk"):
        plan(line(MEAN, DEVIATION), limits(1.0), lead_time="1d", risk=0.6)
    with pytest.raises(ValueError, match="lo_80 and hi_80"):
        plan(line(MEAN, DEVIATION).drop("lo_80", "lo_95"), limits(1.0), lead_time="1d")
    with pytest.raises(ValueError, match="Duration"):
        plan(line(MEAN, DEVIATION), limits(1.0).with_columns(lead_time=pl.lit(14)), lead_time="1d")


def test_reach_score_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    scores = normal_scores([95, 80])
    assert scores.tolist() == sorted(scores.tolist())
    values = np.sort(np.round(rng.normal(0, 3, (300, 5))), axis=1)
    limit = 1.0
    grid = np.linspace(-6, 6, 6001)
    table = np.stack([quantile_at(values, scores, z) for z in grid], axis=1)
    for row, z in zip(table, reach_score(values, scores, limit), strict=True):
        reached = np.flatnonzero(row >= limit)
        if reached.size == 0:
            assert z > 6 - 0.002
        elif reached[0] == 0:
            assert z < -6 + 0.002
        else:
            assert z == pytest.approx(grid[reached[0]], abs=0.0021)


def test_chance_never_falls_and_first_passage_is_the_step_that_comes_to_it() -> None:
    scores = normal_scores([80])
    values = np.array([[0.0, 1, 2], [9.0, 10, 11], [0.0, 1, 2]])
    chance = reached_by(reach_score(values, scores, 10.0), np.arange(3))
    assert chance[1] == chance[2] == pytest.approx(0.5)
    hours = np.array([1.0, 2, 3])
    assert first_passage(hours, np.array([0.0, 0.4, 0.8]), 0.6) == 3.0
    assert first_passage(hours, np.array([0.3, 0.4, 0.8]), 0.1) == 1.0
    assert first_passage(hours, np.array([0.0, 0.4, 0.8]), 0.9) is None
