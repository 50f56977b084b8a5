"""`backtest`: how good each member and their combination would have been at earlier origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from models.evaluation import coverage, crps, mase, seasonal_scale, smape
from models.forecast.combination import combine
from models.forecast.forecasting import check_arguments
from models.forecast.intervals import bands
from models.forecast.lineup import run_contest
from models.forecast.panel import MIN_POINTS, Panel, Series, build_panel
from models.forecast.seasonality import FloatArray
from models.series import NOT_ENOUGH_DATA, STATUS_OK, TIME

COMBINATION: Final = "combination"
_LEVELS: Final = (80, 95)
_PROBABILITIES: Final = (0.025, 0.1, 0.5, 0.9, 0.975)
_LOSSES: Final = ("mase", "smape", "crps", "coverage_80", "coverage_95", "seconds")


def backtest(
    history: pl.DataFrame,
    *,
    horizon: int,
    freq: str | timedelta,
    windows: int = 3,
    season_lengths: Sequence[int] | None = None,
    models: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Losses of every member, and of `combination` (what `forecast` would have answered), at `windows` earlier origins.

    Arguments as in `forecast`. Origins lie a horizon apart, nearer where the history is short; each keeps at least half
    of the history, and everything, weights and intervals too, is learnt anew from what was known there.
    cutoff: last time known. mase: scaled by the seasonal naive error of the known part. smape: 0 to 2. crps: in
    the unit of the values, from five quantiles. coverage_*: shares of the actual values.
    seconds: time of the member at this origin, with its own inner contest, per series.

    Returns series_id, model, cutoff, mase, smape, crps, coverage_80, coverage_95, seconds, status; a series without any
    origin has one row of nulls. Losses are null where they are undefined (a history without any change has no mase).
    Raises ValueError for unusable arguments or columns.
    """
    check_arguments(horizon, _LEVELS, models)
    if windows < 1:
        raise ValueError(f"windows must be 1 or more, not {windows}")
    panel = build_panel(history, horizon=1, freq=freq, season_lengths=season_lengths)
    origins = {position: _origins(s, horizon, windows) for position, s in enumerate(panel.ready)}
    rows: list[dict[str, Any]] = []
    for window in range(windows):
        chosen = [(panel.ready[p], cuts[window]) for p, cuts in origins.items() if window < len(cuts)]
        rows += _judge(chosen, horizon, models)
    judged = {row["series_id"] for row in rows}
    silent = panel.lacking + [series.key for series in panel.ready if series.key not in judged]
    rows += [{"series_id": key, "status": NOT_ENOUGH_DATA} for key in silent]
    return pl.DataFrame(rows, schema=_schema(panel)).sort("series_id", "cutoff", "model", maintain_order=True)


def _origins(series: Series, horizon: int, windows: int) -> list[int]:
    """Numbers of points known at each origin, the newest first; none where too little would be known."""
    n = series.size
    least = max(-(-n // 2), MIN_POINTS, 2 * min(series.seasons, default=0))
    room = n - horizon - least
    if room < 0:
        return []
    step = min(horizon, room // (windows - 1)) if windows > 1 else 0
    return sorted({n - horizon - step * window for window in range(windows)}, reverse=True)


def _judge(chosen: Sequence[tuple[Series, int]], horizon: int, models: Sequence[str] | None) -> list[dict[str, Any]]:
    """One row per series and member at one origin."""
    if not chosen:
        return []
    contest = run_contest([series.upto(cutoff) for series, cutoff in chosen], horizon, models, seed=0)
    best = combine(contest)
    said = {name: (contest.forecasts[name], contest.errors[name], contest.seconds[name]) for name in contest.forecasts}
    said[COMBINATION] = (best.means, best.errors, np.nansum(list(contest.seconds.values()), axis=0))
    rows = []
    for name, (means, errors, seconds) in said.items():
        part = np.flatnonzero(np.isfinite(means).all(axis=1)).tolist()
        offsets = bands(errors[part], contest.reach[part], _LEVELS, horizon)
        for i, band in zip(part, offsets, strict=True):
            series, cutoff = chosen[i]
            rows.append({"model": name, "seconds": float(seconds[i])} | _losses(series, cutoff, means[i], means[i] + band))
    return rows


def _losses(series: Series, cutoff: int, mean: FloatArray, band: FloatArray) -> dict[str, Any]:
    """Losses of one forecast; band: lo_80, hi_80, lo_95, hi_95."""
    actual = series.values[cutoff : cutoff + mean.size]
    known = series.values[:cutoff]
    quantiles = np.stack([band[2], band[0], mean, band[1], band[3]], axis=-1)
    losses = {
        "mase": mase(actual, mean, seasonal_scale(known, min(series.seasons, default=1))),
        "smape": smape(actual, mean),
        "crps": crps(actual, quantiles, _PROBABILITIES) * series.scale,
        "coverage_80": coverage(actual, band[0], band[1]),
        "coverage_95": coverage(actual, band[2], band[3]),
    }
    numbers = {name: float(loss) if np.isfinite(loss) else None for name, loss in losses.items()}
    cut = int(series.times_us(cutoff - 1, 1)[0])
    return {"series_id": series.key, "cutoff": cut, "status": STATUS_OK} | numbers


def _schema(panel: Panel) -> Mapping[str, Any]:
    """Names and types of the result."""
    return {"series_id": panel.key_type, "model": pl.String, "cutoff": TIME} | dict.fromkeys(_LOSSES, pl.Float64) | {"status": pl.String}
