"""`models.forecast.accuracy` and `retired`: past forecasts against what came, and which members it speaks against."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.evaluation import coverage, mase, seasonal_scale, smape
from models.forecast import accuracy, forecast, retired

START = datetime.fromisoformat("2026-01-01")
DAY = timedelta(days=1)


def actual_of(values: np.ndarray, key: str = "a", step: timedelta = DAY) -> pl.DataFrame:
    frame = pl.DataFrame({"series_id": [key] * values.size, "time": [START + step * i for i in range(values.size)], "value": values})
    return frame.filter(pl.col("value").is_not_nan())


def made_of(known: int, mean: np.ndarray, key: str = "a", model: str = "ets", step: timedelta = DAY, width: float = 2.0) -> pl.DataFrame:
    """A forecast after `known` points, with bands of half `width` and `width`."""
    at = START + step * (known - 1)
    columns = {"series_id": [key] * mean.size, "made_at": [at] * mean.size, "time": [at + step * (i + 1) for i in range(mean.size)]}
    bands = {"lo_80": mean - width / 2, "hi_80": mean + width / 2, "lo_95": mean - width, "hi_95": mean + width}
    return pl.DataFrame(columns | {"model": [model] * mean.size, "mean": mean} | bands)


def test_losses_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = 10 + rng.normal(0, 2, 80)
    values[[9, 38, 52]] = np.nan
    mean = 10 + rng.normal(0, 1, 33)
    found = accuracy(made_of(40, mean), actual_of(values), freq="1d")
    assert found["horizon"].to_list() == [1, 7, 14, 30, 60]
    assert found.columns[:5] == ["series_id", "model", "made_at", "horizon", "observations"]
    scale = seasonal_scale(values[:40], 7)
    for row, (first, last) in zip(found.iter_rows(named=True), [(1, 1), (2, 7), (8, 14), (15, 30), (31, 33)], strict=True):
        ahead = np.arange(first, last + 1)
        truth, naive = values[39 + ahead], []
        for h in ahead:
            at = 39 + h
            while at > 39 or np.isnan(values[at]):
                at -= 7
            naive.append(values[at])
        said = mean[ahead - 1]
        assert row["observations"] == np.isfinite(truth).sum()
        assert row["mase"] == pytest.approx(mase(truth, said, scale))
        assert row["mase_seasonal_naive"] == pytest.approx(mase(truth, naive, scale))
        assert row["smape"] == pytest.approx(smape(truth, said))
        assert row["coverage_80"] == pytest.approx(coverage(truth, said - 1, said + 1))
        assert row["coverage_95"] == pytest.approx(coverage(truth, said - 2, said + 2))
        assert (row["status"], row["made_at"]) == ("ok", START + 39 * DAY)


def test_what_came_later_changes_neither_the_naive_forecast_nor_the_scale() -> None:
    values = np.random.default_rng(1).normal(10, 2, 60)
    later = values.copy()
    later[45:] += 1000
    made = made_of(40, np.full(5, 10.0))
    assert accuracy(made, actual_of(values), freq="1d").equals(accuracy(made, actual_of(later), freq="1d"))


def test_series_models_and_finer_values_are_kept_apart() -> None:
    values = np.tile(np.repeat(np.arange(24.0), 4), 10)
    quarter = timedelta(minutes=15)
    actual = pl.concat([actual_of(values, key, quarter) for key in ("a", "b")])
    hours = np.arange(24.0)
    made = pl.concat([made_of(96, hours, "b", model, timedelta(hours=1)) for model in ("ets", "pooled")])
    found = accuracy(pl.concat([made, made]), actual, freq="1h")
    assert found.select("series_id", "model", "horizon").rows() == [("b", m, h) for m in ("ets", "pooled") for h in (1, 7, 14, 30)]
    assert found["status"].unique().to_list() == ["not_enough_data"], "every day is the one before: no scale"
    assert found["mase"].null_count() == found.height


def test_what_has_not_come_is_not_judged() -> None:
    values = np.random.default_rng(2).normal(10, 1, 43)
    found = accuracy(made_of(40, np.full(20, 10.0)), actual_of(values), freq="1d")
    assert found["observations"].to_list() == [1, 2, 0, 0]
    assert found["status"].to_list() == ["ok", "ok", "not_enough_data", "not_enough_data"]
    nothing = accuracy(made_of(40, np.full(20, 10.0)).clear(), actual_of(values), freq="1d")
    assert nothing.is_empty()
    assert nothing.schema == found.schema
    with pytest.raises(ValueError, match="made_at"):
        accuracy(actual_of(values), actual_of(values), freq="1d")
    with pytest.raises(ValueError, match="season_length"):
        accuracy(made_of(40, np.full(20, 10.0)), actual_of(values), freq="1d", season_length=0)


def record(excess: np.ndarray, model: str, key: str = "a", horizon: int = 7) -> pl.DataFrame:
    """Accuracy rows, one made_at a day, whose MASE is `excess` above the naive one's."""
    times = [START + DAY * i for i in range(excess.size)]
    return pl.DataFrame(
        {"series_id": key, "model": model, "made_at": times, "horizon": horizon, "observations": 6, "mase": 1 + excess}
    ).with_columns(mase_seasonal_naive=pl.lit(1.0))


def test_members_that_lose_steadily_are_retired_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.3, 60)
    week = np.where(np.arange(60) // 7 == 4, 20.0, -0.02)
    frame = pl.concat(
        [
            record(0.4 + noise, "ets+pooled"),
            record(-0.4 + noise, "phase_median", "a"),
            record(0.4 + noise, "seasonal_naive", "b"),
            record(week, "recent_level", "b"),
            record(0.4 + noise[:20], "prophet", "c", horizon=1),
            record(np.full(60, 0.1), "level_season", "c"),
            record(0.4 + noise, "trend_season", "c", horizon=30),
        ]
    )
    assert retired(frame).rows() == [("a", "ets"), ("a", "pooled"), ("c", "level_season")]
    assert ("c", "prophet") in retired(frame, min_forecasts=12).rows()
    assert retired(frame.clear()).is_empty()


def test_equals_are_seldom_retired_however_their_forecasts_overlap() -> None:
    rng = np.random.default_rng(4)
    overlapping = np.convolve(rng.normal(0, 1, 60 * 400), np.ones(7), "same").reshape(400, 60)
    frame = pl.concat([record(row, "ets", str(i)) for i, row in enumerate(overlapping)])
    assert retired(frame).height <= 0.11 * 400


def test_a_retired_member_takes_no_part_in_its_series_alone() -> None:
    t = np.arange(24 * 20)
    values = 100 + 0.1 * t + 8 * np.sin(2 * np.pi * t / 24) + np.random.default_rng(5).normal(0, 1, t.size)
    history = pl.concat([actual_of(values, key, timedelta(hours=1)) for key in ("a", "b")])
    out = pl.DataFrame({"series_id": ["a", "b"], "model": ["trend_season+level_season", "seasonal_naive"]})
    names = ["level_season", "trend_season", "phase_median"]
    found = forecast(history, horizon=24, freq="1h", models=names, retired=out)
    labels = dict(found.select("series_id", "model").unique().iter_rows())
    assert not {"trend_season", "level_season"} & set(labels["a"].split("+"))
    assert "trend_season" in labels["b"].split("+")
    assert found["status"].unique().to_list() == ["ok"]
    everything = pl.DataFrame({"series_id": ["a"] * 3, "model": names})
    alone = forecast(history, horizon=24, freq="1h", models=names, retired=everything).filter(pl.col("series_id") == "a")
    assert alone["model"].unique().to_list() == ["seasonal_naive"]
