"""`models.forecast.forecast`: result columns, honest statuses, growth carried on, intervals, bounds, holidays, breaks."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.forecast import MEMBERS, forecast

START = datetime.fromisoformat("2026-01-01")
COLUMNS = ["series_id", "time", "model", "mean", "lo_80", "hi_80", "lo_95", "hi_95", "status"]
CHEAP = ["level_season", "trend_season", "ets"]


def history(values: np.ndarray, step: timedelta, key: str = "a") -> pl.DataFrame:
    times = [START + step * i for i in range(len(values))]
    return pl.DataFrame({"series_id": [key] * len(values), "time": times, "value": values.astype(float)})


def hourly(days: int, *, slope_per_day: float = 0.0, noise: float = 1.0, seed: int = 0) -> np.ndarray:
    t = np.arange(days * 24) / 24
    rng = np.random.default_rng(seed)
    return 100 + slope_per_day * t + 8 * np.sin(2 * np.pi * t) - 6.0 * (t.astype(int) % 7 >= 5) + rng.normal(0, noise, t.size)


def test_columns_times_and_order_of_intervals() -> None:
    result = forecast(history(hourly(30), timedelta(hours=1)), horizon=48, freq="1h", models=CHEAP)
    assert result.columns == COLUMNS
    assert result.height == 48
    assert result["status"].unique().to_list() == ["ok"]
    assert result["time"][0] == START + timedelta(days=30)
    assert result["time"].diff().drop_nulls().unique().to_list() == [timedelta(hours=1)]
    ordered = result.select(((pl.col("lo_95") <= pl.col("lo_80")) & (pl.col("lo_80") <= pl.col("mean"))).all())
    assert ordered.item()
    assert result.select(((pl.col("mean") <= pl.col("hi_80")) & (pl.col("hi_80") <= pl.col("hi_95"))).all()).item()


@pytest.mark.parametrize(("freq", "step", "per_day"), [("1d", timedelta(days=1), 1), ("1h", timedelta(hours=1), 24)])
def test_growth_with_rhythm_is_carried_on_for_sixty_days(freq: str, step: timedelta, per_day: int) -> None:
    values = hourly(75, slope_per_day=0.9)
    if per_day == 1:
        values = values.reshape(-1, 24).mean(axis=1)
    result = forecast(history(values, step), horizon=60 * per_day, freq=freq, models=[*CHEAP, "pooled"])
    days = np.repeat(np.arange(75, 135), per_day)
    last_week = result["mean"].to_numpy()[-7 * per_day :].mean()
    truth = 100 + 0.9 * (days[-7 * per_day :].mean() + (0.48 if per_day > 1 else 0.0)) - 6 * 2 / 7
    assert last_week == pytest.approx(truth, abs=6)
    assert "trend_season" in result["model"][0].split("+")[:2]


def test_a_series_without_growth_is_not_given_one() -> None:
    result = forecast(history(hourly(75), timedelta(hours=1)), horizon=24 * 60, freq="1h", models=CHEAP)
    last = result["mean"].to_numpy()[-24 * 7 :].mean()
    assert last == pytest.approx(100 - 6 * 2 / 7, abs=3)


def test_only_members_that_beat_the_naive_one_take_part() -> None:
    repeated = np.tile(np.random.default_rng(1).normal(50, 10, 168), 6)
    result = forecast(history(repeated, timedelta(hours=1)), horizon=48, freq="1h")
    assert "seasonal_naive" in result["model"][0]
    np.testing.assert_allclose(result["mean"].to_numpy(), repeated[:48], atol=1e-6)


def test_intervals_cover_and_widen() -> None:
    rng = np.random.default_rng(5)
    walks = {f"w{i}": 100 + np.cumsum(rng.normal(0, 1, 230)) for i in range(40)}
    frame = pl.concat([history(v[:200], timedelta(days=1), k) for k, v in walks.items()])
    result = forecast(frame, horizon=30, freq="1d", models=CHEAP)
    truth = np.concatenate([walks[k][200:] for k in sorted(walks)])
    inside = (truth >= result["lo_80"].to_numpy()) & (truth <= result["hi_80"].to_numpy())
    assert 0.65 <= inside.mean() <= 0.93
    width = (result["hi_80"] - result["lo_80"]).to_numpy().reshape(40, 30)
    assert (np.diff(width, axis=1) >= -1e-9).all()
    assert (width[:, -1] > 2 * width[:, 0]).mean() > 0.8


def test_levels_name_the_columns() -> None:
    result = forecast(history(hourly(30), timedelta(hours=1)), horizon=3, freq="1h", levels=(99, 50), models=CHEAP)
    assert result.columns[3:-1] == ["mean", "lo_50", "hi_50", "lo_99", "hi_99"]


def test_bounds_hold_for_mean_and_intervals_per_series() -> None:
    falling = 20 - 0.2 * np.arange(90) + np.random.default_rng(2).normal(0, 0.3, 90)
    frame = pl.concat([history(falling, timedelta(days=1), k) for k in ("a", "b")])
    result = forecast(frame, horizon=60, freq="1d", models=CHEAP, lower={"a": 0.0}, upper=3.0)
    numbers = result.filter(series_id="a").select("mean", "lo_80", "hi_80", "lo_95", "hi_95").to_numpy()
    assert numbers.min() == 0.0
    assert numbers.max() <= 3.0
    assert result.filter(series_id="b")["mean"].min() < -5


def test_holidays_are_learnt_and_foreseen() -> None:
    values = 100 + np.random.default_rng(3).normal(0, 1, 120)
    holidays = [date(2026, 1, 20), date(2026, 2, 17), date(2026, 3, 10), date(2026, 4, 7), date(2026, 5, 6)]
    for day in holidays[:4]:
        values[(day - START.date()).days] -= 40
    result = forecast(history(values, timedelta(days=1)), horizon=10, freq="1d", models=CHEAP, holidays=holidays)
    means = dict(zip(result["time"].dt.date().to_list(), result["mean"].to_list(), strict=True))
    assert means[date(2026, 5, 6)] == pytest.approx(68, abs=3)
    assert means[date(2026, 5, 5)] == pytest.approx(100, abs=2)
    named = pl.DataFrame({"series_id": ["other"] * 5, "date": holidays})
    other = forecast(history(values, timedelta(days=1)), horizon=10, freq="1d", models=CHEAP, holidays=named)
    assert other["mean"].min() > 90


def test_history_before_a_break_is_discounted() -> None:
    rhythm = 5 * np.sin(2 * np.pi * np.arange(90) / 7)
    values = np.where(np.arange(90) < 70, 20.0, 80.0) + rhythm + np.random.default_rng(4).normal(0, 0.5, 90)
    breaks = pl.DataFrame({"series_id": ["a"], "time": [START + timedelta(days=70)]})
    with_break = forecast(history(values, timedelta(days=1)), horizon=28, freq="1d", models=CHEAP, breaks=breaks)
    assert with_break["mean"].mean() == pytest.approx(80, abs=2.5)
    assert with_break["mean"].std() > 2.5
    without = forecast(history(values, timedelta(days=1)), horizon=28, freq="1d", models=CHEAP)
    width = (pl.col("hi_80") - pl.col("lo_80")).mean()
    assert with_break.select(width).item() < without.select(width).item() / 2


def test_a_long_time_after_a_break_stands_alone() -> None:
    values = np.concatenate([np.linspace(500, 900, 60), np.full(80, 10.0) + np.arange(80) * 0.1])
    breaks = pl.DataFrame({"series_id": ["a"], "time": [START + timedelta(days=60)]})
    result = forecast(history(values, timedelta(days=1)), horizon=20, freq="1d", models=CHEAP, breaks=breaks)
    np.testing.assert_allclose(result["mean"].to_numpy(), 10 + 0.1 * np.arange(80, 100), atol=0.2)


def odd_series() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    gaps = hourly(20)
    gaps[rng.random(gaps.size) < 0.4] = np.nan
    gaps[100:220] = np.nan
    return {
        "constant": np.full(400, 7.0),
        "zero": np.zeros(400),
        "gaps": gaps,
        "negative": -hourly(20),
        "zero_inflated": np.where(rng.random(480) < 0.9, 0.0, rng.exponential(5, 480)),
        "level_shift": np.repeat([1.0, 1000.0], 240) + rng.normal(0, 0.1, 480),
        "infinite": np.where(np.arange(400) == 50, np.inf, 3.0 + rng.normal(0, 1, 400)),
        "tiny": 1e-300 * hourly(20),
        "huge": 1e300 * hourly(20),
        "two_points": np.array([1.0, 2.0]),
        "one_point": np.array([1.0]),
        "all_nan": np.full(400, np.nan),
        "few": np.arange(9.0),
        "late_gap": np.where((np.arange(480) > 200) & (np.arange(480) < 479), np.nan, hourly(20)),
    }


def test_odd_series_never_raise_and_say_so() -> None:
    frames = [history(values, timedelta(hours=1), key) for key, values in odd_series().items()]
    result = forecast(pl.concat(frames), horizon=24, freq="1h")
    status = dict(result.select("series_id", "status").unique().iter_rows())
    lacking = {"two_points", "one_point", "all_nan", "few"}
    assert {k for k, s in status.items() if s == "not_enough_data"} >= lacking
    assert {k for k, s in status.items() if s == "ok"} >= set(odd_series()) - lacking - {"late_gap"}
    silent = result.filter(pl.col("status") != "ok")
    assert silent.select(pl.exclude("series_id", "status").is_null().all()).row(0) == (True,) * 7
    spoken = result.filter(status="ok").select("mean", "lo_80", "hi_80", "lo_95", "hi_95")
    assert np.isfinite(spoken.to_numpy()).all()
    constant = result.filter(series_id="constant")
    assert constant.select("mean", "lo_95", "hi_95").unique().rows() == [(7.0, 7.0, 7.0)]


def test_order_repeats_and_other_columns_do_not_matter() -> None:
    clean = history(hourly(15), timedelta(hours=1))
    messy = pl.concat([clean, clean.head(40)]).sample(fraction=1.0, shuffle=True, seed=1).with_columns(extra=pl.lit(1))
    left = forecast(clean, horizon=5, freq="1h", models=CHEAP)
    assert left.equals(forecast(messy, horizon=5, freq="1h", models=CHEAP))


def test_same_seed_same_answer() -> None:
    frame = pl.concat([history(hourly(25, seed=i), timedelta(hours=1), f"s{i}") for i in range(3)])
    left, right = (forecast(frame, horizon=24, freq="1h", models=["pooled"], seed=9) for _ in range(2))
    assert left.equals(right)


def test_pooled_member_beats_the_naive_one_on_a_shared_shape() -> None:
    rng = np.random.default_rng(8)
    t = np.arange(24 * 40)
    shape = np.where(t % 24 < 8, 10.0, 50.0) + 5 * (t // 24 % 7)
    series = {f"s{i}": shape * rng.uniform(1, 5) * np.exp(rng.normal(0, 0.15, t.size)) for i in range(12)}
    frame = pl.concat([history(v[:-48], timedelta(hours=1), k) for k, v in series.items()])
    truth = np.concatenate([series[k][-48:] for k in sorted(series)])
    error = {
        name: np.abs(forecast(frame, horizon=48, freq="1h", models=[name])["mean"].to_numpy() - truth).mean()
        for name in ("pooled", "seasonal_naive")
    }
    assert error["pooled"] < 0.85 * error["seasonal_naive"]


def test_prophet_takes_part_when_named_and_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    values = hourly(75, slope_per_day=2.0, noise=0.5).reshape(-1, 24).mean(axis=1)
    holidays = [date(2026, 2, 3)]
    result = forecast(history(values, timedelta(days=1)), horizon=14, freq="1d", models=["prophet"], holidays=holidays)
    assert result["model"][0].startswith("prophet")
    assert result["mean"][-1] == pytest.approx(100 + 2 * 89 - 6 * 2 / 7, abs=8)
    assert capfd.readouterr() == ("", "")


def test_empty_history_gives_an_empty_result() -> None:
    result = forecast(history(np.zeros(0), timedelta(hours=1)), horizon=3, freq="1h")
    assert result.columns == COLUMNS
    assert result.is_empty()


def test_integer_keys_stay_integers() -> None:
    frame = history(hourly(10), timedelta(hours=1)).with_columns(series_id=pl.lit(2**63 + 5, dtype=pl.UInt64))
    result = forecast(frame, horizon=2, freq="1h", models=CHEAP)
    assert result["series_id"].to_list() == [2**63 + 5] * 2


def test_misuse_is_refused() -> None:
    frame = history(hourly(10), timedelta(hours=1))
    with pytest.raises(ValueError, match="horizon"):
        forecast(frame, horizon=0, freq="1h")
    with pytest.raises(ValueError, match="levels"):
        forecast(frame, horizon=1, freq="1h", levels=(80, 100))
    with pytest.raises(ValueError, match="choose from"):
        forecast(frame, horizon=1, freq="1h", models=["arima"])
    with pytest.raises(ValueError, match="season_lengths"):
        forecast(frame, horizon=1, freq="1h", season_lengths=[1])
    with pytest.raises(ValueError, match="value"):
        forecast(frame.drop("value"), horizon=1, freq="1h")
    assert set(MEMBERS) >= {"seasonal_naive", "prophet", "ets", "pooled"}


def test_a_jump_long_ago_does_not_bend_the_recent_trend() -> None:
    t = np.arange(150)
    values = 100 + 1.0 * t + np.where(t < 30, 0.0, 80.0) + np.random.default_rng(10).normal(0, 1, t.size)
    truth = 180 + 1.0 * np.arange(150, 200)
    error = {
        name: np.abs(forecast(history(values, timedelta(days=1)), horizon=50, freq="1d", models=[name])["mean"].to_numpy() - truth).max()
        for name in ("trend_season", "recent_trend")
    }
    assert error["recent_trend"] < 8 < error["trend_season"]
