"""`models.forecast.backtest`: honest origins, losses as a plain loop gives them, every member and the combination judged."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.forecast import backtest, forecast

START = datetime.fromisoformat("2026-01-01")
CHEAP = ["level_season", "trend_season"]
COLUMNS = ["series_id", "model", "cutoff", "mase", "smape", "crps", "coverage_80", "coverage_95", "seconds", "status"]


def daily(values: np.ndarray, key: str = "a") -> pl.DataFrame:
    times = [START + timedelta(days=i) for i in range(values.size)]
    return pl.DataFrame({"series_id": [key] * values.size, "time": times, "value": values})


def weekly(days: int, seed: int = 0) -> np.ndarray:
    t = np.arange(days)
    return 50 + 10 * np.sin(2 * np.pi * t / 7) + np.random.default_rng(seed).normal(0, 2, days)


def test_one_row_per_member_and_origin() -> None:
    result = backtest(daily(weekly(120)), horizon=14, freq="1d", models=CHEAP)
    assert result.columns == COLUMNS
    assert set(result["model"]) == {"seasonal_naive", "combination", *CHEAP}
    assert result.height == 4 * 3
    cutoffs = result["cutoff"].unique().sort().to_list()
    assert cutoffs == [START + timedelta(days=119 - 14 * (w + 1)) for w in (2, 1, 0)]
    assert (result["seconds"] > 0).all()
    assert result["status"].unique().to_list() == ["ok"]


def test_losses_equal_those_of_the_forecast_made_at_the_origin() -> None:
    values = weekly(120, seed=1)
    result = backtest(daily(values), horizon=14, freq="1d", windows=1, models=CHEAP)
    row = result.filter(model="combination").row(0, named=True)
    made = forecast(daily(values[:106]), horizon=14, freq="1d", models=CHEAP)
    error = [abs(a - m) for a, m in zip(values[106:], made["mean"], strict=True)]
    naive = [abs(values[i] - values[i - 7]) for i in range(7, 106)]
    assert row["mase"] == pytest.approx((sum(error) / 14) / (sum(naive) / len(naive)))
    smape = [2 * e / (abs(a) + abs(m)) for e, a, m in zip(error, values[106:], made["mean"], strict=True)]
    assert row["smape"] == pytest.approx(sum(smape) / 14)
    inside = [lo <= a <= hi for a, lo, hi in zip(values[106:], made["lo_80"], made["hi_80"], strict=True)]
    assert row["coverage_80"] == pytest.approx(sum(inside) / 14)
    assert row["cutoff"] == START + timedelta(days=105)


def test_nothing_after_the_origin_is_seen() -> None:
    values = weekly(120, seed=2)
    changed = values.copy()
    changed[-14:] += 500
    left, right = (
        backtest(daily(v), horizon=14, freq="1d", models=[*CHEAP, "ets"]).filter(pl.col("cutoff") < START + timedelta(days=100))
        for v in (values, changed)
    )
    assert left.height == 10
    # Series are scaled by a power of two that the late jump changes: equal but for the last bit.
    assert_frame_equal(left.drop("seconds"), right.drop("seconds"), rel_tol=1e-12)


def test_crps_of_a_sure_forecast_is_small_and_the_trend_member_wins_on_growth() -> None:
    growing = 10 + 0.7 * np.arange(130) + np.random.default_rng(3).normal(0, 0.5, 130)
    result = backtest(daily(growing), horizon=30, freq="1d", models=CHEAP).group_by("model").agg(pl.col("crps", "mase").mean())
    crps = dict(result.select("model", "crps").iter_rows())
    assert crps["trend_season"] < 0.2 * crps["seasonal_naive"]
    assert crps["combination"] < 0.25 * crps["seasonal_naive"]


def test_short_empty_and_odd_series_say_so() -> None:
    short, constant, empty = daily(weekly(20), "short"), daily(np.full(120, 3.0), "flat"), daily(np.full(50, np.nan), "nan")
    result = backtest(pl.concat([short, constant, empty]), horizon=14, freq="1d", models=CHEAP)
    status = dict(result.select("series_id", "status").unique().iter_rows())
    assert status == {"short": "not_enough_data", "flat": "ok", "nan": "not_enough_data"}
    silent = result.filter(series_id="short")
    assert silent.select(pl.exclude("series_id", "status").is_null().all()).row(0) == (True,) * 8
    flat = result.filter(series_id="flat")
    assert flat["mase"].null_count() == flat.height
    assert flat["crps"].max() == 0.0
    assert backtest(short.clear(), horizon=14, freq="1d").columns == COLUMNS


def test_origins_move_together_when_history_is_short() -> None:
    result = backtest(daily(weekly(90)), horizon=40, freq="1d", models=CHEAP)
    assert result["cutoff"].n_unique() == 3
    assert result["cutoff"].min() >= START + timedelta(days=44)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="windows"):
        backtest(daily(weekly(90)), horizon=4, freq="1d", windows=0)
    with pytest.raises(ValueError, match="choose from"):
        backtest(daily(weekly(90)), horizon=4, freq="1d", models=["nope"])


@pytest.mark.realdata
def test_the_combination_beats_the_naive_member_on_real_series(realdata) -> None:  # type: ignore[no-untyped-def]
    trace = pl.read_parquet(realdata / "opendc" / "bitbrains_small_trace.parquet")
    some = trace.select(series_id="id", time="timestamp", value="cpu_usage").filter(
        pl.col("series_id").is_in(trace["id"].unique().sort().to_list()[:20])
    )
    result = backtest(some, horizon=24, freq="1h", models=[*CHEAP, "ets"]).drop_nulls("mase")
    mase = dict(result.group_by("model").agg(pl.col("mase").mean()).iter_rows())
    assert mase["combination"] < mase["seasonal_naive"]
    covered = result.filter(model="combination")
    assert 0.6 <= covered["coverage_80"].mean() <= 0.95
