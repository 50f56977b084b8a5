"""`benchmarks.forecast`: origins that see nothing of their test, M4's references and its file layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import forecast as benchmark
from benchmarks.hourly_sets import fleet, local_sets, m4_hourly


def hours(values: np.ndarray, key: str = "x/a") -> pl.DataFrame:
    times = np.datetime64("2026-01-01", "us") + np.arange(values.size) * np.timedelta64(3_600_000_000, "us")
    known = np.isfinite(values)
    return pl.DataFrame({"series_id": [key] * int(known.sum()), "time": times[known], "value": values[known]})


def test_windows_hold_what_was_known_and_what_came() -> None:
    values = np.random.default_rng(0).normal(10, 1, 300)
    values[[30, 31, 260]] = np.nan
    windows = benchmark.windows_of(hours(values), 3)
    assert [w.origin for w in windows] == [0, 1, 2]
    for window in windows:
        cut = 300 - 48 * (window.origin + 1)
        np.testing.assert_array_equal(window.known, values[:cut])
        np.testing.assert_array_equal(window.actual, values[cut : cut + 48])
        history = benchmark.history_of([window])
        np.testing.assert_array_equal(history["value"].to_numpy(), values[:cut][np.isfinite(values[:cut])])
        assert history["time"].max() == np.datetime64("2025-12-31T23:00:00")
    short = benchmark.windows_of(hours(values[:250]), 3)
    assert [w.origin for w in short] == [0, 1]


def loop_naive2(known: list[float]) -> list[float]:
    n, mean = len(known), sum(known) / len(known)
    power = sum((v - mean) ** 2 for v in known)
    acf = [sum((known[i] - mean) * (known[i - k] - mean) for i in range(k, n)) / power for k in range(1, 25)]
    if abs(acf[23]) <= 1.645 * ((1 + 2 * sum(r * r for r in acf[:23])) / n) ** 0.5:
        return [known[-1]] * 48
    ratios: dict[int, list[float]] = {}
    for t in range(12, n - 12):
        trend = (known[t - 12] / 2 + sum(known[t - 11 : t + 12]) + known[t + 12] / 2) / 24
        ratios.setdefault(t % 24, []).append(known[t] / trend)
    index = [sum(ratios[p]) / len(ratios[p]) for p in range(24)]
    index = [value * 24 / sum(index) for value in index]
    return [known[-1] / index[(n - 1) % 24] * index[(n + h) % 24] for h in range(48)]


@pytest.mark.parametrize(("strength", "seasonal"), [(0.0, False), (0.017, False), (0.05, True), (0.5, True)])
def test_naive2_equals_the_plain_loop(strength: float, seasonal: bool) -> None:
    rng = np.random.default_rng(1)
    known = 50 * np.exp(rng.normal(0, 0.05, 205)) * (1 + strength * np.sin(2 * np.pi * np.arange(205) / 24))
    found = benchmark.naive2(known)
    np.testing.assert_allclose(found, loop_naive2(known.tolist()))
    assert (np.ptp(found) > 0) == seasonal


def test_naive2_of_values_about_zero_adds_the_season() -> None:
    known = np.tile(np.sin(2 * np.pi * np.arange(24) / 24), 8)
    np.testing.assert_allclose(benchmark.naive2(known), known[:48], atol=1e-9)


def test_the_references_of_a_window_are_those_of_the_last_day() -> None:
    values = np.random.default_rng(2).normal(10, 1, 300)
    window = benchmark.windows_of(hours(values), 1)[0]
    naive = np.tile(values[228:252], 2)
    losses = benchmark.losses_of(window, np.stack([naive - 2, naive - 1, naive, naive + 1, naive + 2]))
    assert losses["mase"] == losses["naive_mase"]
    assert losses["smape"] == losses["naive_smape"]
    figures = benchmark.summary(pl.DataFrame([{"series_id": "x/a", "origin": 0} | losses]))
    assert figures["owa_vs_seasonal_naive"] == 1.0
    assert figures["coverage_95"] > figures["coverage_80"]


def test_files_of_m4_are_joined_so_that_the_newest_origin_is_its_own(tmp_path: Path) -> None:
    train = '"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","4","5",\n'
    test = '"V1","V2","V3"\n"H1","7","8"\n"H2","9","10"\n'
    (tmp_path / "Hourly-train.csv").write_text(train)
    (tmp_path / "Hourly-test.csv").write_text(test)
    joined = m4_hourly(tmp_path)
    found = {key: part["value"].to_list() for (key,), part in joined.group_by("series_id", maintain_order=True)}
    assert found == {"H1": [1, 2, 3, 7, 8], "H2": [4, 5, 9, 10]}
    assert joined["time"].diff().dt.total_hours().to_list()[1:] == [1, 1, 1, 1, -4, 1, 1, 1]


def test_the_fleet_is_what_its_seed_says() -> None:
    made = fleet(6, 60, seed=3)
    assert made.equals(fleet(6, 60, seed=3))
    assert made.group_by("series_id").len()["len"].to_list() == [60] * 6


@pytest.mark.realdata
def test_local_series_are_hours_of_every_set_that_has_enough(realdata: Path) -> None:
    found = local_sets(realdata, 144)
    counts = dict(found.group_by(pl.col("series_id").str.extract("^([^/]+)/").alias("set")).agg(pl.col("series_id").n_unique()).iter_rows())
    assert counts.keys() == {"nab", "ms_cloud_monitoring", "opendc", "azure"}
    assert min(counts.values()) > 10
    assert found.filter(pl.col("time").dt.truncate("1h") != pl.col("time")).is_empty()
    assert not found.select("series_id", "time").is_duplicated().any()
