"""`python -m benchmarks.capacity [--seeds N] [--origins N]`: were people warned before a limit was reached, and how often in vain?

`models.capacity.backtest` with its defaults: at each cutoff one forecast and one plan from what was known there, a warning where the chance
of reaching the limit within the lead time is over 5%. Beside it, at the same cutoffs and from the same values, what people use instead:
the line of Prometheus' `predict_linear` over four weeks (or what there is of them) that is at the limit by the lead time, and a fixed
threshold: the highest value of the last day over 80% of the limit. Sets: `benchmarks.capacity_sets`.

reached: decisions whose limit was reached within the lead time. warned_in_time: share of them that were warned of. false_warnings:
share of warnings in vain. missed: share of decisions without a warning whose limit was reached all the same; the risk accepted is 5%.
brier: mean squared error of the chance (for the others of 0 or 1). chance: mean of the chances, to compare with the share that was
reached. calibration: decisions by their chance."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import version

import numpy as np
import polars as pl

from benchmarks.capacity_sets import Case, cases, range_limits
from benchmarks.sample_sets import real_data
from models.capacity import backtest

ORIGINS, SEEDS, RISK = 6, 12, 0.05
FOUR_WEEKS, DAY = timedelta(weeks=4), timedelta(days=1)
_PACKAGES = ("polars", "numpy", "scikit-learn", "statsforecast")
_WAYS = ("planner", "predict_linear", "threshold")


def decisions_of(case: Case, origins: int) -> pl.DataFrame:
    """Decisions of the planner on one set, with `limit`, and what the others would have said."""
    first: datetime = case.history["time"].min()  # type: ignore[assignment]
    last: datetime = case.history["time"].max()  # type: ignore[assignment]
    # The newest half; lead times do not overlap where there is room.
    room = (last - first) / 2 - case.lead
    stride = min(case.lead, max(case.step, room // max(1, origins - 1) // case.step * case.step))
    history, limits = case.history, case.limits
    if limits is None:
        history, limits = range_limits(history, sorted(last - case.lead - stride * i for i in range(origins)))
    found = backtest(
        history,
        limits,
        lead_time=case.lead,
        freq=case.step,
        origins=origins,
        stride=stride,
        risk=RISK,
        season_lengths=case.seasons,
        lower=0.0,
    )
    kept = found.filter((pl.col("status") == "ok") & ~pl.col("over_already"))
    if "since" in limits.columns:
        named = kept.join(limits.rename({"since": "cutoff"}), on=["resource_id", "cutoff"])
    else:
        named = kept.join(limits, on="resource_id")
    series = {key: part for (key,), part in history.group_by("series_id")}
    said = [_others(series[row["resource_id"]], row, case) for row in named.iter_rows(named=True)]
    others = pl.DataFrame(said, schema={"predict_linear": pl.Boolean, "threshold": pl.Boolean}, orient="row")
    return named.select("resource_id", "cutoff", "p_exceed_by_lead_time", "reached", planner="warned", set=pl.lit(case.name)).hstack(others)


def _others(values: pl.DataFrame, row: dict[str, object], case: Case) -> tuple[bool, bool]:
    """What a line through four weeks and a threshold say at this cutoff."""
    cutoff: datetime = row["cutoff"]  # type: ignore[assignment]
    limit = float(row["limit"])  # type: ignore[arg-type]
    known = values.filter((pl.col("time") <= cutoff) & (pl.col("time") > cutoff - FOUR_WEEKS)).drop_nulls()
    highest: float = known.filter(pl.col("time") > cutoff - DAY)["value"].max()  # type: ignore[assignment]
    return predict_linear(known, cutoff + case.lead) >= limit, highest >= 0.8 * limit


def predict_linear(known: pl.DataFrame, at: datetime) -> float:
    """The least squares line through all samples, at a later time."""
    hours = ((known["time"] - at).dt.total_microseconds() / 3.6e9).to_numpy()
    y = known["value"].to_numpy()
    if hours.size < 2:
        return float(y[-1])
    centred = hours - hours.mean()
    return float(y.mean() - hours.mean() * (centred @ y) / (centred @ centred))


def rates(decisions: pl.DataFrame, way: str) -> dict[str, float | int | None]:
    """Both errors of one way of warning."""
    chance = pl.col("p_exceed_by_lead_time") if way == "planner" else pl.col(way).cast(pl.Float64)
    reached, warned = pl.col("reached"), pl.col(way)
    row = decisions.select(
        decisions=pl.len(),
        reached=reached.sum(),
        warned_in_time=warned.filter(reached).mean(),
        warnings=warned.sum(),
        false_warnings=(~reached).filter(warned).mean(),
        missed=reached.filter(~warned).mean(),
        brier=((chance - reached.cast(pl.Float64)) ** 2).mean(),
        chance=chance.mean(),
    ).row(0, named=True)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def calibration(decisions: pl.DataFrame) -> list[dict[str, float]]:
    """Chances in classes, and how often the limit was then reached."""
    edges = [0.01, 0.05, 0.2, 0.5, 0.8]
    classes = np.searchsorted(edges, decisions["p_exceed_by_lead_time"].to_numpy())
    parts = (
        decisions.with_columns(bin=pl.Series(classes))
        .group_by("bin", maintain_order=False)
        .agg(decisions=pl.len(), chance=pl.col("p_exceed_by_lead_time").mean(), reached=pl.col("reached").mean())
    )
    return [{name: round(value, 3) for name, value in row.items() if name != "bin"} for row in parts.sort("bin").iter_rows(named=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--origins", type=int, default=ORIGINS)
    given = parser.parse_args(arguments)
    started = time.process_time()
    found = []
    for case in cases(real_data(), given.seeds):
        found.append(decisions_of(case, given.origins))
        print(f"{case.name}: {found[-1].height} decisions, {time.process_time() - started:.0f} s", flush=True)
    everything = pl.concat(found)
    kinds = pl.col("resource_id").str.extract(r"^(\w+)/")
    groups = everything.with_columns(
        set=pl.when(pl.col("set") == "generated").then(pl.format("generated {}", kinds)).otherwise(pl.col("set"))
    )
    parts = {"all": everything, **{str(key): part for (key,), part in groups.group_by("set", maintain_order=True)}}
    print(f"{'set':24}{'way':16}decisions reached warned_in_time false_warnings missed brier chance")
    for name, part in parts.items():
        for way in _WAYS:
            row = rates(part, way)
            print(f"{name:24}{way:16}" + " ".join(f"{row[n]!s:>9}" for n in row if n != "warnings"))
    machine = {"load": round(os.getloadavg()[0], 1), "python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    result = rates(everything, "planner") | {"others": {way: rates(everything, way) for way in _WAYS[1:]}}
    sets = {name: rates(part, "planner") for name, part in parts.items() if name != "all"}
    print(
        json.dumps(
            {**result, "calibration": calibration(everything), "sets": sets, "cpu_s": round(time.process_time() - started), **machine}
        )
    )


if __name__ == "__main__":
    main()
