"""`python -m benchmarks.forecast [--origins N] [--m4 FOLDER] [--fleet SERIES]`: forecasts of two days of hours against what came.

One call of `models.forecast.forecast` per origin, with defaults, over all series as known there; OWA, MASE, coverage and speed are of
these calls. Origins lie 48 hours apart and each series counts them from its own end. `owa` is M4's (relative to Naive2 with a season of
24), `owa_vs_seasonal_naive` the same with the last day repeated as reference, `mase` is scaled by the seasonal naive error of the known
part, `smape` runs from 0 to 2, `crps` (five quantiles) is in the unit of MASE's scale. Losses are means over the windows of each series,
then over series; a series that never changes before an origin has no MASE and is left out there. Time is processor time with child
processes. Prophet, alone and with its own defaults, forecasts a sample of the same series at the newest origin; its speed is the sample's.

`--m4 FOLDER` takes M4 Hourly (`Hourly-train.csv`, `Hourly-test.csv`) in place of the local sets; its newest origin is the competition's.
`--fleet SERIES` measures that many generated series of 2,160 hours and nothing else."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import resource
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.hourly_sets import LEAST_KNOWN, SEASON, fleet, local_sets, m4_hourly
from benchmarks.sample_sets import real_data
from models.evaluation import coverage, crps, mase, owa, seasonal_scale, smape
from models.forecast import forecast

HORIZON = 48
LEAST_ORIGINS = 3
"""A series must have hours for as many; longer ones are judged at up to all of them."""
PROPHET_SAMPLE = 24
FLEET_HOURS = 2_160
_PROBABILITIES = (0.025, 0.1, 0.5, 0.9, 0.975)
_BANDS = ("lo_95", "lo_80", "mean", "hi_80", "hi_95")
_PACKAGES = ("polars", "numpy", "scikit-learn", "statsforecast", "prophet")
_LOSSES = ("mase", "smape", "crps", "coverage_80", "coverage_95")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """A series at one origin: values on the grid of hours, NaN for gaps."""

    key: str
    origin: int
    known: Floats
    actual: Floats


def windows_of(hours: pl.DataFrame, origins: int) -> list[Window]:
    """Every series at each origin (0: the newest) at which enough is known and half of the horizon was observed."""
    found = []
    for (key,), part in hours.group_by("series_id", maintain_order=True):
        steps = ((part["time"] - part["time"].min()).dt.total_hours()).to_numpy()
        values = np.full(int(steps[-1]) + 1, np.nan)
        values[steps] = part["value"].to_numpy()
        for origin in range(origins):
            cut = values.size - HORIZON * (origin + 1)
            observed = np.isfinite(values[cut : cut + HORIZON]).mean() if cut >= LEAST_KNOWN else 0.0
            # A forecast starts after the last value known, so an origin inside a gap would be another horizon.
            if observed >= 0.5 and np.isfinite(values[cut - 1]):
                found.append(Window(str(key), origin, values[:cut], values[cut : cut + HORIZON]))
    return found


def processor_seconds() -> float:
    """Processor time of this process and of its finished children."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def history_of(windows: Sequence[Window]) -> pl.DataFrame:
    """What is known at the origin, as `forecast` takes it; every series ends at the same hour."""
    end = np.datetime64("2026-01-01T00:00:00", "us")
    parts = []
    for window in windows:
        at = np.flatnonzero(np.isfinite(window.known))
        times = end - (window.known.size - at) * np.timedelta64(3_600_000_000, "us")
        parts.append(pl.DataFrame({"series_id": [window.key] * at.size, "time": times, "value": window.known[at]}))
    return pl.concat(parts)


def naive2(known: Floats) -> Floats:
    """M4's Naive2: the last value, seasonally adjusted where the autocorrelation at 24 is significant at 90%.

    Multiplicative classical decomposition as in the competition, additive where a value is not positive.
    Source: Makridakis et al. 2020, M4 competition's `Benchmarks and Evaluation.R`.
    """
    n = known.size
    if n < 3 * SEASON or np.ptp(known) == 0:
        return np.full(HORIZON, known[-1])
    centred = known - known.mean()
    acf = np.array([centred[k:] @ centred[: n - k] for k in range(1, SEASON + 1)]) / (centred @ centred)
    limit = 1.645 / np.sqrt(n) * np.sqrt(1 + 2 * (acf[:-1] ** 2).sum())
    if abs(acf[-1]) <= limit:
        return np.full(HORIZON, known[-1])
    weights = np.r_[0.5, np.ones(SEASON - 1), 0.5] / SEASON
    trend = np.convolve(known, weights, "valid")
    inner = known[SEASON // 2 : n - SEASON // 2]
    multiplicative = known.min() > 0
    detrended = inner / trend if multiplicative else inner - trend
    phase = (np.arange(inner.size) + SEASON // 2) % SEASON
    index = np.array([detrended[phase == p].mean() for p in range(SEASON)])
    index = index / index.mean() if multiplicative else index - index.mean()
    last, ahead = index[(n - 1) % SEASON], index[np.arange(n, n + HORIZON) % SEASON]
    return np.asarray(known[-1] / last * ahead if multiplicative else known[-1] - last + ahead)


def without_gaps(known: Floats) -> Floats:
    """Gaps hold the value a day before (what comes before any value: the first one), for the reference forecasts."""
    filled = known.copy()
    for at in np.flatnonzero(np.isnan(filled)):
        filled[at] = filled[at - SEASON] if at >= SEASON else np.nan
    first = filled[np.isfinite(filled)][0]
    return np.where(np.isnan(filled), first, filled)


def losses_of(window: Window, bands: Floats) -> dict[str, float]:
    """Losses of one forecast (five quantiles, ascending, by 48 hours) and of both references."""
    scale = float(seasonal_scale(window.known, SEASON))
    filled = without_gaps(window.known)
    references = {"naive2": naive2(filled), "naive": np.resize(filled[-SEASON:], HORIZON)}
    result = {
        "mase": float(mase(window.actual, bands[2], scale)),
        "smape": float(smape(window.actual, bands[2])),
        "crps": float(crps(window.actual, bands.T, _PROBABILITIES)) / scale,
        "coverage_80": float(coverage(window.actual, bands[1], bands[3])),
        "coverage_95": float(coverage(window.actual, bands[0], bands[4])),
    }
    for name, reference in references.items():
        result[f"{name}_mase"] = float(mase(window.actual, reference, scale))
        result[f"{name}_smape"] = float(smape(window.actual, reference))
    return result


def judge(windows: Sequence[Window]) -> tuple[pl.DataFrame, float]:
    """series_id, origin and losses of every window, and the processor seconds of all forecasts."""
    rows, seconds = [], 0.0
    for origin in sorted({w.origin for w in windows}):
        here = [w for w in windows if w.origin == origin]
        history = history_of(here)
        before = processor_seconds()
        made = forecast(history, horizon=HORIZON, freq="1h")
        seconds += processor_seconds() - before
        answers = {key: part.select(_BANDS).to_numpy().T for (key,), part in made.group_by("series_id")}
        judged = [w for w in here if np.isfinite(seasonal_scale(w.known, SEASON))]
        rows += [{"series_id": w.key, "origin": origin} | losses_of(w, answers[w.key]) for w in judged]
    return pl.DataFrame(rows), seconds


def summary(losses: pl.DataFrame) -> dict[str, float]:
    """Means over the windows of each series, then over series; relative losses of the means, as M4 does."""
    means = losses.group_by("series_id").mean().mean().row(0, named=True)
    against = {
        key: float(owa(means["mase"], means["smape"], means[f"{reference}_mase"], means[f"{reference}_smape"]))
        for key, reference in (("owa", "naive2"), ("owa_vs_seasonal_naive", "naive"))
    }
    shares = {name: round(100 * means[name], 1) for name in _LOSSES if name.startswith("coverage")}
    return {key: round(value, 4) for key, value in (against | {name: means[name] for name in _LOSSES}).items()} | shares


def prophet_speed(windows: Sequence[Window]) -> tuple[int, float, float]:
    """Series of the sample, their series per processor second with Prophet's defaults, and its MASE on them."""
    from prophet import Prophet

    newest = [w for w in windows if w.origin == 0]
    sample = newest[:: max(1, len(newest) // PROPHET_SAMPLE)]
    logging.getLogger("cmdstanpy").disabled = True
    seconds, errors = 0.0, []
    for position, window in enumerate((sample[0], *sample)):
        frame = history_of([window]).select(ds="time", y="value").to_pandas()
        before = processor_seconds()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.random.seed(0)
            model = Prophet().fit(frame, seed=0)
            made = model.predict(model.make_future_dataframe(HORIZON, freq="h", include_history=False))
        if position:  # the first fit is for what Prophet loads once
            seconds += processor_seconds() - before
            errors.append(float(mase(window.actual, made["yhat"].to_numpy(), seasonal_scale(window.known, SEASON))))
    return len(sample), len(sample) / seconds, float(np.nanmean(errors))


def measure(hours: pl.DataFrame, origins: int) -> dict[str, float]:
    """Print a line per set, and give the figures of all series."""
    windows = windows_of(hours, origins)
    warm = [w for w in windows if w.origin == 0][:3]
    forecast(history_of(warm), horizon=HORIZON, freq="1h")  # imports and compiled code
    losses, seconds = judge(windows)
    heads = ("owa", "vs naive", *_LOSSES)
    print(f"{'set':22}{'series':>8}{'windows':>9}" + "".join(f"{name:>12}" for name in heads))
    name_of_set = pl.col("series_id").str.extract("^([^/]+)/").fill_null("M4 Hourly")
    groups = [(str(name), part.drop("set")) for (name,), part in losses.with_columns(set=name_of_set).group_by("set", maintain_order=True)]
    for name, part in [*groups, ("all", losses)]:
        figures = summary(part)
        print(f"{name:22}{part['series_id'].n_unique():8}{part.height:9}" + "".join(f"{value:12.3f}" for value in figures.values()))
    speed = len(windows) / seconds
    sampled, prophet, error = prophet_speed(windows)
    print(f"\n{len(windows)} forecasts in {seconds:.1f} s of processor time: {speed:.1f} a second")
    print(f"Prophet on {sampled} of the series, extrapolated: {prophet:.2f} a second; its mase on them {error:.3f}")
    return summary(losses) | {"series_per_cpu_s": round(speed, 2), "speed_vs_prophet": round(speed / prophet, 2)}


def measure_fleet(series: int) -> dict[str, float]:
    """Speed and memory of one call over a generated fleet, and its error relative to the seasonal naive one."""
    hours = fleet(series, FLEET_HOURS + HORIZON, seed=0)
    cut = hours["time"].max() - pl.duration(hours=HORIZON)
    actual = hours.filter(pl.col("time") > cut)["value"].to_numpy().reshape(series, HORIZON)
    history = hours.filter(pl.col("time") <= cut)
    known = history["value"].to_numpy().reshape(series, FLEET_HOURS)
    del hours
    before, wall = processor_seconds(), time.perf_counter()
    made = forecast(history, horizon=HORIZON, freq="1h")
    seconds, wall = processor_seconds() - before, time.perf_counter() - wall
    bands = made.select(_BANDS).to_numpy().reshape(series, HORIZON, 5)
    scale = seasonal_scale(known, SEASON)
    ours = mase(actual, bands[..., 2], scale)
    naives = {m: mase(actual, np.tile(known[:, -m:], 1 + HORIZON // m)[:, :HORIZON], scale) for m in (SEASON, 7 * SEASON)}
    return {
        "fleet_series": series,
        "fleet_series_per_s": round(series / wall, 1),
        "fleet_series_per_cpu_s": round(series / seconds, 1),
        "fleet_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "fleet_mase": round(float(ours.mean()), 4),
        "fleet_mase_vs_daily_naive": round(float(ours.mean() / naives[SEASON].mean()), 4),
        "fleet_mase_vs_weekly_naive": round(float(ours.mean() / naives[7 * SEASON].mean()), 4),
        "fleet_coverage_80": round(100 * float(coverage(actual, bands[..., 1], bands[..., 3]).mean()), 1),
        "fleet_coverage_95": round(100 * float(coverage(actual, bands[..., 0], bands[..., 4]).mean()), 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--origins", type=int, default=6, help="at most, where the history is long enough; 1 with --m4 is the competition")
    parser.add_argument("--m4", type=Path, help="folder of Hourly-train.csv and Hourly-test.csv")
    parser.add_argument("--fleet", type=int, default=0, metavar="SERIES", help="measure a generated fleet instead, 10000 for the goal")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    if options.fleet:
        print(json.dumps(measure_fleet(options.fleet)))
        return
    folder = real_data()
    if options.m4 is not None:
        hours = m4_hourly(options.m4)
    elif folder is not None:
        hours = local_sets(folder, HORIZON * min(options.origins, LEAST_ORIGINS))
    else:
        raise SystemExit("the real data sets are missing; set LAKEBED_REALDATA to their folder or give --m4")
    print(json.dumps(measure(hours, options.origins)))


if __name__ == "__main__":
    main()
