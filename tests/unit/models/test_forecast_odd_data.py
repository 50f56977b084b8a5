"""Series that once spoiled a call: for themselves or for the others in it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.forecast import backtest, forecast
from models.forecast.forecasting import build_panel
from models.forecast.pooled import linear
from models.series import clean_history

START = datetime(2026, 1, 1)


def hours(values: np.ndarray, key: str = "a") -> pl.DataFrame:
    times = [START + timedelta(hours=i) for i in range(len(values))]
    return pl.DataFrame({"series_id": key, "time": times, "value": values}).drop_nulls()


def rhythm(seed: int, days: int = 40) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return np.asarray(np.cumsum(dice.normal(0, 1, 24 * days)) + np.tile(10 * np.sin(np.arange(24) / 24 * 2 * np.pi), days))


def test_a_series_that_repeats_itself_up_to_rounding_leaves_the_others_alone() -> None:
    others = [hours(rhythm(i), f"s{i}") for i in range(6)]
    exact = [hours(np.tile(rhythm(9, 1), 40) * (1 + 1e-16) + np.random.default_rng(i).normal(0, 1e-15, 960), f"x{i}") for i in range(3)]
    found = []
    for frames in (others, others + exact):
        panel = build_panel(pl.concat(frames), horizon=24, freq="1h")
        said = linear([panel.ready], 24, 0)[0]
        found.append([said[i] for i, s in enumerate(panel.ready) if s.key.startswith("s")])
    assert all(np.allclose(a, b) for a, b in zip(*found, strict=True))


def test_holidays_may_be_all_that_is_known_at_an_origin() -> None:
    found = forecast(hours(rhythm(1, 3)), horizon=24, freq="1h", holidays=[date(2026, 1, 1), date(2026, 1, 2)])
    assert found["status"].to_list() == ["ok"] * 24


def test_the_mean_of_equal_values_is_that_value() -> None:
    dice = np.random.default_rng(0)
    times = [START + timedelta(hours=h, minutes=m) for h in range(200) for m in range(int(dice.integers(1, 7)))]
    panel = build_panel(pl.DataFrame({"series_id": "a", "time": times, "value": 0.1}), horizon=24, freq="1h")
    assert np.unique(panel.ready[0].values).size == 1


@pytest.mark.parametrize("key", [{"host": "a"}, ["a", "b"]])
def test_keys_without_an_order_are_keys(key: object) -> None:
    history = pl.DataFrame({"series_id": [key, key], "time": [START, START + timedelta(hours=1)], "value": [1.0, 2.0]})
    assert clean_history(history)["value"].to_list() == [1.0, 2.0]


def test_a_series_that_nobody_can_judge_has_a_row_that_says_so() -> None:
    values = rhythm(2, 42)[:1000]
    values[823:976] = np.nan
    found = backtest(hours(values).filter(pl.col("value").is_not_nan()), horizon=24, freq="1h", windows=1)
    assert found["status"].to_list() == ["not_enough_data"]
