"""Hourly series that forecasts are measured on: real ones with enough hours, M4 Hourly where it is given, and a generated fleet.

Finer series become means of hours. Of petshop no series spans
over 49 hours and the token trace of azure spans one: they are read and fall to the same rule as every other series."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

SEASON = 24
LEAST_KNOWN = 5 * SEASON
"""Hours before the oldest origin."""
LEAST_OBSERVED = 0.5
"""Share of the hours of a series that must hold a value."""
_START = datetime.fromisoformat("2026-01-01")


def local_sets(folder: Path, held_out: int) -> pl.DataFrame:
    """series_id (`set/name`), time, value of every hourly series under `folder` that has `held_out` hours beyond `LEAST_KNOWN`."""
    parts = [_hours(name, frame) for name, frame in _sources(folder)]
    hours = pl.concat(parts).sort("series_id", "time")
    span = (pl.col("time").max() - pl.col("time").min()).dt.total_hours().over("series_id") + 1
    enough = (span >= LEAST_KNOWN + held_out) & (pl.len().over("series_id") >= LEAST_OBSERVED * span)
    return hours.filter(enough)


def m4_hourly(folder: Path) -> pl.DataFrame:
    """The competition's `Hourly-train.csv` and `Hourly-test.csv` joined, so that the newest origin is the competition's own."""
    wide = [pl.read_csv(folder / f"Hourly-{part}.csv", infer_schema_length=None) for part in ("train", "test")]
    long = [w.unpivot(index=w.columns[0]).drop_nulls("value").rename({w.columns[0]: "series_id"}) for w in wide]
    joined = pl.concat([part.select("series_id", pl.col("value").cast(pl.Float64)) for part in long])
    step = pl.int_range(pl.len()).over("series_id")
    return joined.select("series_id", time=pl.lit(_START) + pl.duration(hours=step), value="value").sort("series_id", "time")


def fleet(series: int, hours: int, seed: int) -> pl.DataFrame:
    """Generated series: daily and weekly rhythm of many strengths, trends, level shifts, walks and noise; an eighth mostly zero."""
    rng = np.random.default_rng(seed)
    t = np.arange(hours)
    day = np.sin(2 * np.pi * (t[None, :] / SEASON + rng.random((series, 1))))
    weekend = (t // SEASON % 7 >= 5)[None, :]
    strength = rng.lognormal(0, 0.8, (series, 3))
    values = strength[:, :1] * day - strength[:, 1:2] * weekend * rng.random((series, 1))
    values += rng.normal(0, 1, (series, 1)) * t / hours
    values += np.cumsum(rng.normal(0, 1, (series, hours)), axis=1) * (rng.exponential(0.03, (series, 1)))
    values += np.where(t >= rng.integers(0, 4 * hours, (series, 1)), rng.normal(0, 3, (series, 1)), 0)
    values += rng.normal(0, 1, (series, hours)) * strength[:, 2:] * 0.5
    values += 10
    rare = rng.random(series) < 1 / 8
    values[rare] = np.where(rng.random((int(rare.sum()), hours)) < 0.8, 0.0, np.abs(values[rare]))
    keys = pl.Series("series_id", np.repeat(np.arange(series), hours), dtype=pl.UInt64)
    times = pl.datetime_range(_START, _START + timedelta(hours=hours - 1), "1h", eager=True)
    return pl.DataFrame({"series_id": keys, "time": np.tile(times.to_numpy(), series), "value": values.ravel()})


def _hours(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Means of hours; series_id gets the name of the set in front."""
    known = frame.filter(pl.col("value").is_finite())
    grouped = known.group_by("series_id", pl.col("time").dt.truncate("1h").cast(pl.Datetime("us"))).agg(pl.col("value").mean())
    return grouped.with_columns(series_id=pl.format("{}/{}", pl.lit(name), "series_id"))


def _sources(folder: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """Name of a set and its series as published."""
    yield "nab", _files(folder / "nab" / "data", "*/*.csv", "timestamp", "value")
    yield "ms_cloud_monitoring", _files(folder / "ms_cloud_monitoring", "*/*.csv", "TimeStamp", "Value")
    trace = pl.read_parquet(folder / "opendc" / "bitbrains_small_trace.parquet")
    yield "opendc", trace.select(series_id="id", time=pl.col("timestamp").dt.replace_time_zone(None), value="cpu_usage")
    yield "azure", _files(folder / "azure" / "vm_noise", "*.csv", "starttime", "value")
    requests = pl.read_csv(folder / "azure" / "AzureLLMInferenceTrace_code.csv")
    tokens = requests.select(series_id=pl.lit("tokens"), time=pl.col("TIMESTAMP").str.to_datetime(), value="GeneratedTokens")
    yield "azure", tokens.cast({"time": pl.Datetime("us"), "value": pl.Float64})
    yield "petshop", pl.concat(_petshop(file) for file in sorted((folder / "petshop").glob("**/metrics.csv")))


def _files(folder: Path, pattern: str, time: str, value: str) -> pl.DataFrame:
    """One series per CSV file."""
    parts = []
    for file in sorted(folder.glob(pattern)):
        table = pl.read_csv(file, infer_schema=False)
        text = pl.col(time).str.strip_chars("Z").str.replace("T", " ", literal=True)
        parts.append(
            table.select(
                series_id=pl.lit(file.stem),
                time=text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False).cast(pl.Datetime("us")),
                value=pl.col(value).cast(pl.Float64, strict=False),
            ).drop_nulls()
        )
    return pl.concat(parts)


def _petshop(file: Path) -> pl.DataFrame:
    """The columns of one table, named by its three header rows."""
    head = pl.read_csv(file, has_header=False, n_rows=3, infer_schema=False).rows()
    names = ["time", *(f"{file.parent.parent.parent.name}/{'/'.join(str(part) for part in column)}" for column in zip(*head, strict=True))]
    table = pl.read_csv(file, has_header=False, skip_rows=4, infer_schema=False)
    table.columns = ["time", *names[2:]]
    long = table.unpivot(index="time", variable_name="series_id").with_columns(pl.col("time", "value").cast(pl.Float64, strict=False))
    return long.drop_nulls().select("series_id", time=pl.from_epoch(pl.col("time").cast(pl.Int64)).cast(pl.Datetime("us")), value="value")
