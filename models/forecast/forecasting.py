"""`forecast`: the next values of every series with intervals, combined by each series' own rolling-origin contest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.forecast.contest import MEMBERS, Combination, Entry, combine, run_contest
from models.forecast.intervals import bands
from models.forecast.panel import Panel, build_panel
from models.forecast.seasonality import FloatArray
from models.series import NOT_ENOUGH_DATA, STATUS_OK, TIME, failed

Bound = float | Mapping[Any, float] | None


def forecast(
    history: pl.DataFrame,
    *,
    horizon: int,
    freq: str | timedelta,
    season_lengths: Sequence[int] | None = None,
    levels: Sequence[int] = (80, 95),
    models: Sequence[str] | None = None,
    lower: Bound = None,
    upper: Bound = None,
    holidays: pl.DataFrame | Sequence[date] | None = None,
    breaks: pl.DataFrame | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Forecast each series `horizon` steps of `freq` beyond its last observed value.

    history: series_id, time (UTC), value; any order, gaps and repeats allowed (a step holds the mean of its values).
    season_lengths: in steps; a day and a week by default. levels: percent, each gives lo_<level> and hi_<level>.
    models: names of `MEMBERS`; by default all, Prophet (about 1 s a series) only for few series where it may win. The
    seasonal naive member always takes part; others count only where they beat it in the series' own backtest.
    lower, upper: bounds of mean and intervals, one number or a mapping of series_id. For capacity planning do not bound
    at the limit itself: clipped quantiles cannot say how likely it is to be passed.
    holidays: dates, or a frame with date and optionally series_id (null: all), past and future.
    breaks: series_id, time; history before the last break of a series is cut, or, when little
    follows it, brought to the new level.
    Equal input and seed give equal output.

    Returns series_id, time, model (members joined by +, the heaviest first), mean, lo_*, hi_*, status; a series without
    forecast has one row of nulls whose status says why. Raises ValueError for unusable arguments or columns.
    Method: rolling-origin weights (Makridakis et al. 2020 on combinations), conformal intervals (see `intervals`).
    """
    check_arguments(horizon, levels, models)
    panel = build_panel(history, horizon=horizon, freq=freq, season_lengths=season_lengths, holidays=holidays, breaks=breaks)
    entries = run_contest(panel.ready, horizon, models, seed)
    combinations = [combine(entry, horizon) for entry in entries]
    return _frame(panel, entries, combinations, levels, horizon, lower, upper)


def check_arguments(horizon: int, levels: Sequence[int], models: Sequence[str] | None) -> None:
    """Raises ValueError for arguments that no data could satisfy."""
    if horizon < 1:
        raise ValueError(f"horizon is a number of steps of freq and must be 1 or more, not {horizon}")
    if not levels or any(not 0 < level < 100 for level in levels):
        raise ValueError(f"levels are percents between 0 and 100 such as (80, 95), not {tuple(levels)}")
    if unknown := sorted(set(models or ()) - set(MEMBERS)):
        raise ValueError(f"models {unknown} are not known; choose from {list(MEMBERS)}")


def _frame(
    panel: Panel,
    entries: Sequence[Entry],
    combinations: Sequence[Combination | None],
    levels: Sequence[int],
    horizon: int,
    lower: Bound,
    upper: Bound,
) -> pl.DataFrame:
    """The result frame: forecasts first, then one row for each series without."""
    wanted = sorted(levels)
    offsets = iter(bands([c.errors for c in combinations if c is not None], wanted, horizon))
    parts: list[pl.DataFrame] = []
    silent: list[tuple[Any, str]] = [(key, NOT_ENOUGH_DATA) for key in panel.lacking]
    schema = _schema(panel, wanted)
    for entry, combination in zip(entries, combinations, strict=True):
        key = entry.series.key
        if combination is None:
            unjudged = not entry.observed.any()
            silent.append((key, NOT_ENOUGH_DATA if unjudged else failed("no member gave a forecast")))
            continue
        columns = _bounded(entry, combination, next(offsets), _bound(lower, key), _bound(upper, key))
        if not np.isfinite(columns[0]).all():
            silent.append((key, failed("the values are too large to forecast")))
            continue
        label = "+".join(sorted(combination.weights, key=lambda n: (-round(combination.weights[n], 6), n)))
        data: dict[str, Any] = {"series_id": pl.repeat(key, horizon, dtype=panel.key_type, eager=True)}
        data["time"] = pl.Series(entry.series.times_us(entry.series.size, horizon)).cast(TIME)
        data["model"] = [label] * horizon
        data |= dict(zip(["mean", *_band_names(wanted)], columns, strict=True))
        parts.append(pl.DataFrame(data | {"status": [STATUS_OK] * horizon}, schema=schema))
    nothing = dict.fromkeys(list(schema)[1:-1])
    rows = [{"series_id": key, "status": status} | nothing for key, status in silent]
    parts.append(pl.DataFrame(rows, schema=schema))
    return pl.concat(parts).sort("series_id", "time", maintain_order=True)


def _schema(panel: Panel, levels: Sequence[int]) -> dict[str, Any]:
    """Names and types of the result."""
    return (
        {"series_id": panel.key_type, "time": TIME, "model": pl.String, "mean": pl.Float64}
        | dict.fromkeys(_band_names(levels), pl.Float64)
        | {"status": pl.String}
    )


def _band_names(levels: Sequence[int]) -> list[str]:
    """lo_80, hi_80, lo_95, ... in the order in which `bands` gives them."""
    return [f"{side}_{level}" for level in levels for side in ("lo", "hi")]


def _bounded(entry: Entry, combination: Combination, offsets: FloatArray, low: float, high: float) -> list[FloatArray]:
    """Mean, then lower and upper of each level, in the unit of the history and within the bounds."""
    rows = np.vstack([combination.mean, combination.mean + offsets]) * entry.series.scale
    return list(np.fmin(np.fmax(rows, low), high))


def _bound(bound: Bound, key: Any) -> float:
    """The bound of one series, NaN (which fmin and fmax ignore) where there is none."""
    value = bound.get(key) if isinstance(bound, Mapping) else bound
    return float("nan") if value is None else float(value)
