"""`forecast`: the next values of every series with intervals, combined by each series' own rolling-origin contest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.forecast.combination import Combination, combine
from models.forecast.contest import Contest
from models.forecast.intervals import bands
from models.forecast.lineup import MEMBERS, run_contest
from models.forecast.panel import Panel, build_panel
from models.forecast.seasonality import FloatArray
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed

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
    retired: pl.DataFrame | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Forecast each series `horizon` steps of `freq` beyond its last observed value.

    history: series_id, time (UTC), value; any order, gaps and repeats allowed (a step holds the mean of its values).
    season_lengths: in steps; a day and a week by default. levels: percent, each gives lo_<level> and hi_<level>.
    models: names of `MEMBERS`, for every series. By default all: cheap ones everywhere, dear ones in large calls only in the
    series that the cheap ones forecast worst, Prophet (about 1 s a series) in calls of up to 20 series for two of them. The
    seasonal naive member always takes part; others count only where they beat it in the series' own backtest.
    lower, upper: bounds of mean and intervals, one number or a mapping of series_id. For capacity planning do not bound
    at the limit itself: clipped quantiles cannot say how likely it is to be passed.
    holidays: dates, or a frame with date and optionally series_id (null: all), past and future.
    breaks: series_id, time; history before the last break of a series is cut, or, when little
    follows it, brought to the new level.
    retired: series_id, model (one or more members joined by +) that take no part in these series; see `models.forecast.retired`.
    Equal input and seed give equal output.

    Returns series_id, time, model (members joined by +, the heaviest first), mean, lo_*, hi_*, status; a series without
    forecast has one row of nulls whose status says why. `mean` is the central forecast, a weighted median of the members;
    a series that was at zero and never below has none below zero. Raises ValueError for unusable arguments or columns.
    Method: rolling-origin weights (Makridakis et al. 2020 on combinations), conformal intervals (see `intervals`).
    """
    check_arguments(horizon, levels, models)
    panel = build_panel(history, horizon=horizon, freq=freq, season_lengths=season_lengths, holidays=holidays, breaks=breaks)
    contest = run_contest(panel.ready, horizon, models, seed, _retired(retired))
    return _frame(panel, contest, combine(contest), levels, lower, upper)


def _retired(frame: pl.DataFrame | None) -> dict[str, set[Any]]:
    """The series in which a member takes no part, by member."""
    found: dict[str, set[Any]] = {}
    if frame is not None:
        for key, label in ensure_columns(frame, {"series_id": ANY_TYPE, "model": pl.String}).select("series_id", "model").iter_rows():
            for name in (label or "").split("+"):
                found.setdefault(name, set()).add(key)
    return found


def check_arguments(horizon: int, levels: Sequence[int], models: Sequence[str] | None) -> None:
    """Raises ValueError for arguments that no data could satisfy."""
    if horizon < 1:
        raise ValueError(f"horizon is a number of steps of freq and must be 1 or more, not {horizon}")
    if not levels or any(not 0 < level < 100 for level in levels):
        raise ValueError(f"levels are percents between 0 and 100 such as (80, 95), not {tuple(levels)}")
    if unknown := sorted(set(models or ()) - set(MEMBERS)):
        raise ValueError(f"models {unknown} are not known; choose from {list(MEMBERS)}")


def _frame(panel: Panel, contest: Contest, combination: Combination, levels: Sequence[int], lower: Bound, upper: Bound) -> pl.DataFrame:
    """The result frame: forecasts, and one row for each series without."""
    wanted, horizon, schema = sorted(levels), contest.horizon, _schema(panel, sorted(levels))
    keys = [series.key for series in panel.ready]
    columns = _columns(contest, combination, wanted, [[_bound(bound, key) for key in keys] for bound in (lower, upper)])
    said = np.asarray(np.isfinite(combination.means).all(axis=1), dtype=np.bool_)
    scales = np.array([series.scale for series in panel.ready]).reshape(-1, 1)
    with np.errstate(over="ignore"):
        spoken = np.asarray(np.isfinite(combination.means * scales).all(axis=1), dtype=np.bool_)
    unjudged = np.asarray(~contest.observed.any(axis=1), dtype=np.bool_)
    reasons = [NOT_ENOUGH_DATA, failed("no member gave a forecast"), failed("the values are too large to forecast")]
    silent = [(keys[i], reasons[2 if said[i] else 0 if unjudged[i] else 1]) for i in np.flatnonzero(~spoken)]
    silent += [(key, NOT_ENOUGH_DATA) for key in panel.lacking]
    at = np.flatnonzero(spoken)
    repeated = np.repeat(np.arange(at.size), horizon)
    times = [panel.ready[i].times_us(panel.ready[i].size, horizon) for i in at]
    labels = _labels(combination)
    data: dict[str, Any] = {
        "series_id": pl.Series([keys[i] for i in at], dtype=panel.key_type).gather(repeated),
        "time": pl.Series(np.concatenate([np.empty(0, np.int64), *times])).cast(TIME),
        "model": pl.Series([labels[i] for i in at], dtype=pl.String).gather(repeated),
    }
    data |= {name: columns[at, i].ravel() for i, name in enumerate(["mean", *_band_names(wanted)])}
    found = pl.DataFrame(data | {"status": pl.Series([STATUS_OK], dtype=pl.String).gather(np.zeros_like(repeated))}, schema=schema)
    rows = [{"series_id": key, "status": status} | dict.fromkeys(list(schema)[1:-1]) for key, status in silent]
    return pl.concat([found, pl.DataFrame(rows, schema=schema)]).sort("series_id", "time", maintain_order=True)


def _columns(contest: Contest, combination: Combination, levels: Sequence[int], bounds: Sequence[Sequence[float]]) -> FloatArray:
    """(series, column, step): mean, then lower and upper of each level, in the unit of the history and within the bounds."""
    offsets = bands(combination.errors, contest.reach, levels, contest.horizon)
    means = combination.means[:, None, :]
    scale, low, high = (np.array(x, np.float64).reshape(-1, 1, 1) for x in ([s.scale for s in contest.series], *bounds))
    with np.errstate(over="ignore"):
        rows = np.concatenate([means, means + offsets], axis=1) * scale
    return np.asarray(np.fmin(np.fmax(rows, np.where(np.isnan(rows), np.nan, low)), high))


def _labels(combination: Combination) -> list[str]:
    """The members of each series joined by +, the heaviest first."""
    order = sorted(range(len(combination.names)), key=lambda i: combination.names[i])
    rounded = combination.weights[order].round(6)
    heaviest = np.argsort(-rounded, axis=0, kind="stable")
    weighty = combination.weights[order] > 0
    return ["+".join(combination.names[order[i]] for i in ranked if weighty[i, series]) for series, ranked in enumerate(heaviest.T)]


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


def _bound(bound: Bound, key: Any) -> float:
    """The bound of one series, NaN (which fmin and fmax ignore) where there is none."""
    value = bound.get(key) if isinstance(bound, Mapping) else bound
    return float("nan") if value is None else float(value)
