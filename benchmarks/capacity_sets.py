"""Uses of resources and their limits that capacity decisions are measured on: real ones, and generated ones with a known crossing.

Real limits are rarely met, so besides the capacities of the Bitbrains machines each real series has limits at fixed `FRACTIONS` of the
range that it showed before a cutoff (1: a new record). A step holds the highest value in it. No choice of the planner was made on nab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.sample_sets import Series, sample_sets

FRACTIONS = (1.0, 1.2)
KINDS = ("linear", "exponential", "saturating", "stepwise", "seasonal", "walk", "still")
DAYS, LEAD = 120, timedelta(days=14)
_START = datetime.fromisoformat("2026-01-01")

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """Series with the limits that decisions are about. limits: resource_id, limit; None: at `FRACTIONS` of the range before a cutoff."""

    name: str
    history: pl.DataFrame
    limits: pl.DataFrame | None
    lead: timedelta
    step: timedelta
    seasons: list[int] | None = None


def cases(folder: Path | None, seeds: int) -> Iterator[Case]:
    """Every set: generated ones, and real ones where their folder is."""
    yield grown(seeds)
    if folder is None:
        return
    hour, minutes = timedelta(hours=1), timedelta(minutes=5)
    for name, series in sample_sets():
        if name == "Bitbrains":
            history = pl.concat([_peaks(dict(s.labels)["host_id"], s.times_ms, s.values, hour) for s in series])
            yield Case("opendc", history, None, timedelta(days=2), hour)
            yield Case("opendc capacities", history, _capacities(folder), timedelta(days=2), hour)
        elif name == "NAB":
            yield Case(
                "nab", pl.concat([_peaks(s.labels[1][1], s.times_ms, s.values, hour) for s in series]), None, timedelta(days=2), hour
            )
        elif name == "Microsoft":
            yield Case("ms_cloud_monitoring", _files(series, hour), None, timedelta(days=2), hour)
        elif name == "nezha pods":
            uses = [(dict(s.labels), s) for s in series]
            kept = [(f"{at['pod']}/{at['__name__']}", s) for at, s in uses if at["__name__"] in ("CpuUsage_m_", "MemoryUsage_Mi_")]
            yield Case("nezha", pl.concat([_peaks(k, s.times_ms, s.values, minutes) for k, s in kept]), None, hour, minutes, [])
    yield Case("petshop", _petshop(folder / "petshop" / "low_traffic" / "noissue" / "metrics.csv"), None, 3 * hour, minutes, [])


def grown(seeds: int) -> Case:
    """`seeds` series of each kind, daily: a known curve and noise; the limit is the curve's own height at a random day.

    Half of the crossings lie after the end. Walks and still series have none: their limit is a few deviations above.
    """
    t = np.arange(DAYS)
    parts, limits = [], []
    for kind_number, kind in enumerate(KINDS):
        for seed in range(seeds):
            rng = np.random.default_rng([kind_number, seed])
            path, limit = _curve(kind, rng)
            key = f"{kind}/{seed}"
            values = np.maximum(path[:DAYS] + rng.normal(0, rng.uniform(0.2, 3), DAYS), 0.0)
            parts.append(pl.DataFrame({"series_id": [key] * DAYS, "time": [_START + timedelta(days=int(i)) for i in t], "value": values}))
            limits.append((key, limit))
    frame = pl.DataFrame(limits, schema={"resource_id": pl.String, "limit": pl.Float64}, orient="row")
    return Case("generated", pl.concat(parts), frame, LEAD, timedelta(days=1))


def _curve(kind: str, rng: np.random.Generator) -> tuple[Floats, float]:
    """The path without noise, and the limit."""
    t = np.arange(4 * DAYS)
    cross = int(rng.integers(DAYS // 2, 3 * DAYS // 2))
    level = rng.uniform(30, 60)
    if kind == "linear":
        path = level + rng.uniform(0.1, 0.6) * t
    elif kind == "exponential":
        path = level * np.exp(rng.uniform(0.003, 0.012) * t)
    elif kind == "saturating":
        path = level + rng.uniform(20, 60) * -np.expm1(-t / rng.uniform(30, 90))
    elif kind == "stepwise":
        path = level + np.cumsum((rng.random(t.size) < 1 / 25) * rng.uniform(2, 10, t.size))
    elif kind == "seasonal":
        path = level + rng.uniform(0.1, 0.4) * t + rng.uniform(3, 10) * np.where(t % 7 < 5, 0.4, -1.0)
    elif kind == "walk":
        path = level + np.cumsum(rng.normal(0, rng.uniform(0.3, 1.5), t.size))
        return path, float(level + rng.uniform(3, 25))
    else:
        return np.full(t.size, level), float(level + rng.uniform(1, 12))
    return path, float(path[cross - 6 : cross + 1].max())


def range_limits(history: pl.DataFrame, cutoffs: list[datetime]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each series once per fraction (`name @ fraction`), and its limits since each cutoff, from what came up to it."""
    copies = pl.concat([history.with_columns(series_id=pl.format("{} @ {}", "series_id", pl.lit(f))) for f in FRACTIONS])
    limits = []
    for f in FRACTIONS:
        for cutoff in cutoffs:
            known = (
                history.filter(pl.col("time") <= cutoff)
                .group_by("series_id", maintain_order=True)
                .agg(low=pl.col("value").min(), high=pl.col("value").max())
            )
            limit = pl.col("low") + f * (pl.col("high") - pl.col("low"))
            named = known.filter(pl.col("high") > pl.col("low")).select(
                resource_id=pl.format("{} @ {}", "series_id", pl.lit(f)), limit=limit, since=pl.lit(cutoff).cast(pl.Datetime("us"))
            )
            limits.append(named)
    return copies, pl.concat(limits)


def _files(series: list[Series], step: timedelta) -> pl.DataFrame:
    """Peaks of series that are named by their file."""
    return pl.concat([_peaks(dict(s.labels)["file"], s.times_ms, s.values, step) for s in series])


def _peaks(key: str, times_ms: npt.NDArray[np.int64], values: Floats, step: timedelta) -> pl.DataFrame:
    """The highest value of each step, the last step at one time for all, so that one call sees nothing later of another series."""
    frame = pl.DataFrame({"time": pl.Series(times_ms).cast(pl.Datetime("ms")).cast(pl.Datetime("us")), "value": values})
    found = frame.group_by(pl.col("time").dt.truncate(step)).agg(pl.col("value").max()).sort("time")
    late = datetime.fromisoformat("2026-06-01") - found["time"].max()  # type: ignore[operator]
    return found.select(series_id=pl.lit(key), time=pl.col("time") + late, value="value")


def _capacities(folder: Path) -> pl.DataFrame:
    """MHz of each Bitbrains machine, all of its cores."""
    tasks = pl.read_parquet(folder / "opendc" / "bitbrains_small_v2_tasks.parquet")
    return tasks.select(resource_id=pl.col("id").cast(pl.String), limit=pl.col("cpu_capacity").cast(pl.Float64))


def _petshop(file: Path) -> pl.DataFrame:
    """Every metric of the run without faults; three header rows name a column."""
    head = pl.read_csv(file, has_header=False, n_rows=3, infer_schema=False).rows()
    table = pl.read_csv(file, has_header=False, skip_rows=4, infer_schema=False)
    table.columns = ["time", *("/".join(str(part) for part in column) for column in list(zip(*head, strict=True))[1:])]
    long = table.unpivot(index="time", variable_name="series_id").with_columns(pl.col("time", "value").cast(pl.Float64, strict=False))
    known = long.drop_nulls().with_columns(pl.col("time").cast(pl.Int64) * 1000)
    return pl.concat(
        [
            _peaks(str(key), part["time"].to_numpy(), part["value"].to_numpy(), timedelta(minutes=5))
            for (key,), part in known.group_by("series_id", maintain_order=True)
            if part.height >= 500
        ]
    )
