"""Performance regressions of real benchmark series (Azure VM noise: 16 series of up to 483 days on thousands of machines)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.trend import change_points

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def runs(realdata: Path) -> pl.DataFrame:
    files = sorted((realdata / "azure" / "vm_noise").glob("*.csv"))
    columns = (pl.col("starttime").cast(pl.Datetime("us")).alias("time"), pl.col("value").cast(pl.Float64))
    return pl.concat([pl.read_csv(f, try_parse_dates=True).select(pl.lit(f.stem).alias("series_id"), *columns) for f in files])


@pytest.fixture(scope="module")
def found(runs: pl.DataFrame) -> pl.DataFrame:
    return change_points(runs, freq="1h")


def test_two_measures_of_the_same_runs_change_at_the_same_time(found: pl.DataFrame) -> None:
    operations, bytes_, duration = (
        found.filter(pl.col("series_id") == f"fio_randread__long__B8ms__{unit}") for unit in ("IOPS", "MiB_s", "msec")
    )
    near = [min(abs(t - other) for other in operations["time"]) <= timedelta(days=1) for t in bytes_["time"]]
    assert (sum(near) >= 4, len(near) <= 6) == (True, True)
    for when, direction in (("2024-07-06", 1), ("2024-08-02", -1)):  # more operations in a second, less time for each
        at = datetime.fromisoformat(when)
        for frame, sign in ((operations, 1), (bytes_, 1), (duration, -1)):
            (row,) = frame.filter((pl.col("time") - at).abs() < timedelta(days=2)).rows(named=True)
            assert 0.02 < row["relative_change"] * direction * sign < 0.1
            assert row["relative_change_lo"] * row["relative_change_hi"] > 0


def test_a_regression_of_the_platform_is_seen_in_every_series_of_redis(found: pl.DataFrame) -> None:
    june = found.filter(
        pl.col("series_id").str.starts_with("redis"), pl.col("time").is_between(datetime(2023, 6, 24), datetime(2023, 7, 1))
    )
    assert june["series_id"].n_unique() == june.height == 4
    assert june["relative_change_hi"].max() < 0
    assert june["relative_change"].min() > -0.12


def test_an_injected_regression_is_found_with_its_size(runs: pl.DataFrame) -> None:
    at = datetime(2024, 3, 10, 8)
    names = ("redis_get__long__D8s_v5__Requests_Per_Second", "osbench_create_files__long__D8s_v5__us_Per_Event")
    slower = runs.filter(pl.col("series_id").is_in(names)).with_columns(
        value=pl.when(pl.col("time") >= at).then(pl.col("value") * 1.07).otherwise("value")
    )
    rows = change_points(slower, freq="1h").filter((pl.col("time") - at).abs() <= timedelta(days=1))
    assert rows["series_id"].sort().to_list() == sorted(names)
    assert (rows["relative_change"] - 0.07).abs().max() < 0.012  # the machines differ by a percent over a year by themselves
    assert rows["relative_change_lo"].min() > 0.055
    assert (rows["relative_change_hi"] - rows["relative_change_lo"]).max() < 0.02


def test_runs_in_random_order_seldom_change(runs: pl.DataFrame) -> None:
    """Four orders of sixteen series. Where noise has two levels, chance puts days of one level side by side."""
    changed = [mixed["series_id"].n_unique() for seed in range(4) for mixed in [change_points(_in_random_order(runs, seed), freq="1h")]]
    assert sum(changed) <= 0.05 * 4 * runs["series_id"].n_unique()


def _in_random_order(runs: pl.DataFrame, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    series = runs.partition_by("series_id", maintain_order=True)
    return pl.concat([s.with_columns(value=pl.Series(rng.permutation(s["value"].to_numpy()))) for s in series])
