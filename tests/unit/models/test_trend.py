"""Slopes, the Mann-Kendall test, seasonal strength and classes, against plain loops, scipy and statsmodels."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import NOT_ENOUGH_DATA, STATUS_OK
from models.trend import mann_kendall as mk
from models.trend import trends
from models.trend.multiple_tests import benjamini_hochberg
from models.trend.seasonal import deseasonalise, moving_median, phase_median

T0 = datetime(2026, 1, 1)
COLUMNS = [
    *("series_id", "slope_per_day", "slope_lo", "slope_hi", "p_value", "q_value"),
    *("seasonal_strength", "trend_class", "status"),
]


def history(values: np.ndarray, step: timedelta, series_id: str = "a", start: datetime = T0) -> pl.DataFrame:
    times = [start + step * i for i in range(len(values))]
    return pl.DataFrame({"series_id": [series_id] * len(values), "time": times, "value": values})


def order_one(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    noise = rng.normal(size=n + 100)
    for t in range(1, n + 100):
        noise[t] += phi * noise[t - 1]
    return noise[100:]


def loop_kendall(values: list[float]) -> tuple[int, float, float]:
    """S, its variance with ties, and the median slope, pair by pair."""
    score, slopes, counts = 0, [], {}
    for i, a in enumerate(values):
        counts[a] = counts.get(a, 0) + 1
        for j in range(i + 1, len(values)):
            score += (values[j] > a) - (values[j] < a)
            slopes.append((values[j] - a) / (j - i))
    n, slopes = len(values), sorted(slopes)
    variance = (n * (n - 1) * (2 * n + 5) - sum(c * (c - 1) * (2 * c + 5) for c in counts.values())) / 18
    middle = len(slopes) // 2
    return score, variance, slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2


def loop_inflation(values: list[float]) -> float:
    """The Hamed-Rao sums of `variance_inflation`, lag by lag."""
    from scipy.stats import rankdata

    n = len(values)
    ranks = [float(r) - (n + 1) / 2 for r in rankdata(values)]
    squares = sum(r * r for r in ranks)
    rho = [sum(ranks[i] * ranks[i + lag] for i in range(n - lag)) / squares for lag in range(1, n - 2)]
    weight = [2 * (n - k) * (n - k - 1) * (n - k - 2) / (n * (n - 1) * (n - 2)) for k in range(1, n - 2)]
    run = 1.0
    for r, w in zip(rho, weight, strict=True):
        if abs(r) <= 1.96 / math.sqrt(n):
            break
        run += w * r
    phi = min((n * rho[0] + 2) / (n - 4), 0.99) if rho[0] > 0.8 / math.sqrt(n) else 0.0
    return max(1.0, run, 1 + sum(w * phi ** (k + 1) for k, w in enumerate(weight)))


@pytest.mark.parametrize("phi", [0.0, 0.7])
@pytest.mark.parametrize("digits", [0, 6])  # rounding makes ties
def test_mann_kendall_equals_the_plain_loops(phi: float, digits: int) -> None:
    from scipy.stats import norm, t

    values = np.round(order_one(np.random.default_rng(3), 60, phi) + 0.03 * np.arange(60), digits)
    score, variance, slope = loop_kendall(values.tolist())
    result = mk.mann_kendall(values)
    assert result.slope == pytest.approx(slope, abs=1e-12)
    inflation = loop_inflation((values - slope * np.arange(60)).tolist())
    law = norm if inflation == 1 else t(max(60 / inflation - 2, 1))
    assert result.p_value == pytest.approx(2 * law.sf((abs(score) - 1) / math.sqrt(variance * inflation)), rel=1e-9)
    assert (phi > 0) == (inflation > 2)


def test_slope_and_interval_agree_with_scipy_where_nothing_is_autocorrelated() -> None:
    from scipy.stats import kendalltau, norm, theilslopes

    values = np.random.default_rng(5).normal(size=80) + 0.02 * np.arange(80)
    assert mk.variance_inflation(values - theilslopes(values).slope * np.arange(80)) == 1.0
    ours, theirs = mk.mann_kendall(values), theilslopes(values, alpha=0.95)
    assert ours.slope == pytest.approx(theirs.slope)
    assert ours.slope_lo == pytest.approx(theirs.low_slope, abs=2e-4)
    assert ours.slope_hi == pytest.approx(theirs.high_slope, abs=2e-4)
    tau = kendalltau(np.arange(80), values)
    score = loop_kendall(values.tolist())[0]
    assert score == pytest.approx(tau.statistic * 80 * 79 / 2)
    z_without_continuity = norm.isf(ours.p_value / 2) * abs(score) / (abs(score) - 1)
    assert 2 * norm.sf(z_without_continuity) == pytest.approx(kendalltau(np.arange(80), values, method="asymptotic").pvalue)


def test_gaps_keep_the_distances_between_points() -> None:
    values = 3.0 * np.arange(50.0)
    values[[3, 4, 5, 20, 33]] = np.nan
    result = mk.mann_kendall(values)
    assert (result.slope, result.slope_lo, result.slope_hi) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("phi", "most"), [(0.0, 0.10), (0.6, 0.10), (0.9, 0.12)])
def test_series_without_trend_are_seldom_called(phi: float, most: float) -> None:
    rng = np.random.default_rng(11)
    p = [mk.mann_kendall(order_one(rng, 90, phi)).p_value for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) <= most


@pytest.mark.parametrize(("n", "phi"), [(45, 0.0), (45, 0.6), (90, 0.3), (90, 0.9), (365, 0.6)])
def test_interval_covers_the_true_slope_under_autocorrelation(n: int, phi: float) -> None:
    rng = np.random.default_rng(12)
    found = [mk.mann_kendall(order_one(rng, n, phi) + 0.05 * np.arange(n)) for _ in range(150)]
    assert 0.88 <= np.mean([t.slope_lo <= 0.05 <= t.slope_hi for t in found]) <= 0.995


def test_false_discoveries_are_controlled_over_all_series_of_a_run() -> None:
    rng = np.random.default_rng(13)
    day = timedelta(days=1)
    flat = [history(order_one(rng, 90, 0.6), day, f"flat{k:02}") for k in range(60)]
    rising = [history(order_one(rng, 90, 0.6) + 0.1 * np.arange(90), day, f"rises{k:02}") for k in range(20)]
    found = trends(pl.concat([*flat, *rising]), freq="1d")
    called = found.filter(pl.col("trend_class").is_in(["rising", "falling"]))["series_id"]
    rises = called.str.starts_with("rises")
    assert rises.sum() >= 18
    assert called.len() - rises.sum() <= 3


@pytest.mark.parametrize("size", [2, mk.MAX_POINTS + 1])
def test_pairwise_work_is_bounded(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} known values"):
        mk.mann_kendall(np.arange(float(size)))


@settings(max_examples=100)
@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), max_size=30), st.integers(0, 20))
def test_benjamini_hochberg_agrees_with_scipy_also_with_unlisted_tests(p: list[float], unlisted: int) -> None:
    from scipy.stats import false_discovery_control

    known = [x for x in p if not math.isnan(x)]
    q = benjamini_hochberg(p, tests=len(known) + unlisted)
    assert [math.isnan(x) for x in q] == [math.isnan(x) for x in p]
    if known:
        theirs = false_discovery_control([*known, *[1.0] * unlisted])[: len(known)]
        np.testing.assert_allclose(q[~np.isnan(q)], theirs)


def test_moving_median_and_phase_median_equal_plain_loops() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=101)
    values[rng.random(101) < 0.2] = np.nan
    for window in (6, 7):
        fast = moving_median(values, window)
        for i in range(3, 98):
            assert fast[i] == pytest.approx(np.nanmedian(values[i - 3 : i + 4]))
    np.testing.assert_allclose(phase_median(values, 9), [np.nanmedian(values[k::9]) for k in range(9)])


def test_moving_median_of_a_line_is_the_line_up_to_both_ends() -> None:
    np.testing.assert_allclose(moving_median(2.0 * np.arange(60), 24), 2.0 * np.arange(60))


def test_seasonal_strength_is_the_share_of_variance_and_near_that_of_stl() -> None:
    from statsmodels.tsa.seasonal import STL

    x = np.arange(24 * 42)
    values = 5 * np.sin(2 * np.pi * x / 24) + np.random.default_rng(2).normal(0, 2, x.size) + 0.01 * x
    rest, strength = deseasonalise(values, [24])
    assert strength == pytest.approx(12.5 / 16.5, abs=0.03)
    stl = STL(values, period=24, seasonal=max(7, 2 * 42 + 1), robust=True).fit()
    assert strength == pytest.approx(1 - np.var(stl.resid) / np.var(stl.resid + stl.seasonal), abs=0.04)
    assert np.std(rest - 0.01 * x) == pytest.approx(2.0, abs=0.2)


def test_noise_has_no_season_and_loses_nothing() -> None:
    values = np.random.default_rng(4).normal(size=24 * 21)
    rest, strength = deseasonalise(values, [24, 168])
    assert strength < 0.1
    assert np.std(rest) > 0.9


def test_daily_and_weekly_rhythm_are_both_removed_in_spite_of_an_incident() -> None:
    x = np.arange(24 * 56)
    values = 10 + 5 * np.sin(2 * np.pi * x / 24) - 4.0 * (x // 24 % 7 >= 5)
    values[500:510] += 300
    rest, _ = deseasonalise(values, [24, 168])
    quiet = np.concatenate([rest[:400], rest[600:]])
    assert np.ptp(quiet) < 1.0


def test_trends_of_a_mixed_company() -> None:
    rng = np.random.default_rng(8)
    x = np.arange(24 * 60)
    noise = rng.normal(0, 1, x.size)
    hour = timedelta(hours=1)
    frames = {
        "disk": 100 + 0.5 * x / 24 + noise,
        "falls": 100 - 0.5 * x / 24 + noise,
        "flat": 100 + noise,
        "rhythm": 100 + 10 * np.sin(2 * np.pi * x / 24) + noise,
        "wild": np.abs(rng.standard_cauchy(x.size)),
    }
    result = trends(pl.concat([history(v, hour, k) for k, v in frames.items()]).sample(fraction=1, shuffle=True, seed=1), freq="1h")
    assert result.columns == COLUMNS
    assert dict(result.select("series_id", "trend_class").iter_rows()) == {
        "disk": "rising",
        "falls": "falling",
        "flat": "flat",
        "rhythm": "seasonal",
        "wild": "volatile",
    }
    disk = result.row(by_predicate=pl.col("series_id") == "disk", named=True)
    assert disk["slope_lo"] < 0.5 < disk["slope_hi"]
    assert disk["slope_per_day"] == pytest.approx(0.5, abs=0.02)
    assert disk["q_value"] >= disk["p_value"]


def test_slope_is_per_day_at_every_step_and_survives_partial_days() -> None:
    for freq, step, n in (
        ("5m", timedelta(minutes=5), 288 * 20),
        ("1d", timedelta(days=1), 60),
        ("7m", timedelta(minutes=7), 4000),
    ):
        days = np.arange(n) * (step / timedelta(days=1))
        values = 2.0 * days + (0 if freq == "7m" else 40) * np.sin(2 * np.pi * days)
        row = trends(history(values, step, start=T0 + timedelta(hours=17)), freq=freq).row(0, named=True)
        assert row["slope_per_day"] == pytest.approx(2.0, abs=0.1), freq
        assert row["trend_class"] == "rising"


def test_a_short_incident_does_not_tilt_the_slope() -> None:
    values = 50 + np.random.default_rng(9).normal(0, 1, 24 * 30)
    values[-30:-20] = 5000
    row = trends(history(values, timedelta(hours=1)), freq="1h").row(0, named=True)
    assert abs(row["slope_per_day"]) < 0.05
    assert row["trend_class"] == "flat"


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("constant", np.full(200, 7.0), STATUS_OK),
        ("two points", np.array([1.0, 2.0]), NOT_ENOUGH_DATA),
        ("all NaN", np.full(200, np.nan), NOT_ENOUGH_DATA),
        ("negative", -100 - np.arange(200.0), STATUS_OK),
        ("zero-inflated", np.where(np.arange(200) % 17 == 0, 3.0, 0.0), STATUS_OK),
        ("infinite", np.where(np.arange(200) % 2 == 0, np.inf, 1.0), STATUS_OK),
    ],
)
def test_awkward_series_have_a_status_and_no_exception(name: str, values: np.ndarray, status: str) -> None:
    row = trends(history(values, timedelta(hours=1), name), freq="1h").row(0, named=True)
    assert row["status"] == status
    if status != STATUS_OK:
        assert all(row[c] is None for c in COLUMNS[1:-1])
    elif name in ("constant", "zero-inflated"):
        assert (row["slope_per_day"], row["p_value"] > 0.05) == (0.0, True)
    elif name == "negative":
        assert (row["slope_per_day"], row["trend_class"]) == (pytest.approx(-24), "falling")


def test_numbers_beyond_floats_fail_as_a_status() -> None:
    values = np.where(np.arange(100) % 2 == 0, 1e308, -1e308)
    row = trends(history(values, timedelta(hours=1)), freq="1h").row(0, named=True)
    assert row["status"].startswith("failed:")
    assert row["slope_per_day"] is None


def test_no_rows_give_no_rows_and_order_and_repeats_do_not_matter() -> None:
    frame = history(np.random.default_rng(1).normal(size=100), timedelta(hours=1))
    assert trends(frame.clear(), freq="1h").shape == (0, len(COLUMNS))
    shuffled = pl.concat([frame, frame]).sample(fraction=1, shuffle=True, seed=3)
    assert trends(shuffled, freq="1h").equals(trends(frame, freq="1h"))
