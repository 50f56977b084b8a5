"""`trends`: does each series drift, how fast, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.series import NOT_ENOUGH_DATA, STATUS_OK, failed, regular_grid, season_lengths_of, step_of
from models.trend.mann_kendall import MAX_POINTS, mann_kendall
from models.trend.multiple_tests import benjamini_hochberg
from models.trend.seasonal import deseasonalise

Floats = npt.NDArray[np.float64]

MIN_POINTS = 10
"""Fewer known points (after aggregation) are not enough data."""
MIN_DAYS = 14
"""From so many days on, the points are daily medians."""
ALPHA = 0.05
"""q-value under which a drift is called rising or falling."""
SMALLEST_DRIFT = 0.01
"""A drift over the whole series below this share of its level is flat, however sure."""
SEASONAL_FROM = 0.64
"""Seasonal strength that counts as seasonal (the threshold of R's forecast::nsdiffs)."""
VOLATILE_FROM = 0.5
"""Spread around the trend, as a share of the level, that counts as volatile."""

_DAY = timedelta(days=1)
_RESULTS = ("slope_per_day", "slope_lo", "slope_hi", "p_value", "seasonal_strength", "drift", "level", "spread")


def trends(history: pl.DataFrame, *, freq: str, season_lengths: Sequence[int] | None = None) -> pl.DataFrame:
    """The drift of every series.

    history: series_id, time (UTC), value, in any order, with gaps; freq: the step of the grid ("5m", "1h", "1d");
    season_lengths: seasons in steps, by default a day and a week.
    Returns one row per series: series_id, slope_per_day, slope_lo, slope_hi (value units per day, Theil-Sen, 95%),
    p_value (Mann-Kendall, autocorrelation allowed for), q_value (Benjamini-Hochberg over the series of this call),
    seasonal_strength (0 to 1, null when no season fits twice),
    trend_class (rising, falling, seasonal, volatile or flat), status.
    The slope is of the deseasonalised values, of which there are never over `MAX_POINTS`: daily medians from 14 days
    on, else the grid or medians of its neighbouring points.
    Raises ValueError for missing columns, unusable types or a bad freq; never for data.
    """
    seasons = season_lengths_of(freq) if season_lengths is None else [int(s) for s in season_lengths]
    grid = regular_grid(history, freq=freq)
    groups = grid.group_by("series_id", maintain_order=True).agg(pl.col("time").first(), "value")
    begins = groups["time"].to_numpy()
    rows = [_one(t, v.to_numpy(), step_of(freq), seasons) for t, v in zip(begins, groups["value"], strict=True)]
    measured = pl.DataFrame(rows, schema=[*((n, pl.Float64) for n in _RESULTS), ("status", pl.String)], orient="row")
    q_values = benjamini_hochberg(measured["p_value"].fill_null(float("nan")).to_numpy())
    return (
        pl.concat([groups.select("series_id"), measured], how="horizontal")
        .with_columns(q_value=pl.Series(q_values).fill_nan(None), seasonal_strength=pl.col("seasonal_strength").fill_nan(None))
        .with_columns(trend_class=_trend_class())
        .select(
            "series_id",
            *(
                "slope_per_day",
                "slope_lo",
                "slope_hi",
                "p_value",
                "q_value",
                "seasonal_strength",
                "trend_class",
                "status",
            ),
        )
    )


def _one(first: np.datetime64, values: Floats, step: timedelta, seasons: list[int]) -> tuple[float | str | None, ...]:
    """The `_RESULTS` and the status of one series on its grid, which begins at `first`."""
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return _measure(first, values, step, seasons)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        return (*(None for _ in _RESULTS), failed(f"the values leave the range of floats ({error})"))


def _measure(first: np.datetime64, values: Floats, step: timedelta, seasons: list[int]) -> tuple[float | str | None, ...]:
    """The `_RESULTS` and the status of one series; ArithmeticError when its numbers leave the range of floats."""
    clean, strength = deseasonalise(values, seasons)
    points, per_day = _condense(clean, first, step)
    if np.count_nonzero(~np.isnan(points)) < MIN_POINTS:
        return (*(None for _ in _RESULTS), NOT_ENOUGH_DATA)
    trend = mann_kendall(points)
    line = trend.slope * per_day * (step / _DAY) * (np.arange(clean.size) - (clean.size - 1) / 2)
    low, level, high = np.nanquantile(clean - line, [0.1, 0.5, 0.9])
    slopes = [s * per_day for s in (trend.slope, trend.slope_lo, trend.slope_hi)]
    drift = trend.slope * (points.size - 1)
    if not np.isfinite([*slopes, drift]).all():
        raise FloatingPointError("overflow in the slope")
    return (*slopes, trend.p_value, strength, drift, abs(level), (high - low) / 2.563, STATUS_OK)


def _condense(values: Floats, first: np.datetime64, step: timedelta) -> tuple[Floats, float]:
    """The points for the slope and how many of them make a day.

    Daily medians where there are enough days (days with under half of the usual number of values are gaps), and then
    medians of neighbouring points until there are at most `MAX_POINTS`.
    """
    per_day = _DAY / step
    if step < _DAY and _DAY % step == timedelta(0) and values.size >= MIN_DAYS * per_day:
        steps = int(per_day)
        lead = int((first - first.astype("datetime64[D]")) / np.timedelta64(step))
        table = _as_rows(np.concatenate([np.full(lead, np.nan), values]), steps)
        count = np.count_nonzero(~np.isnan(table), axis=1)
        daily = np.where(count * 2 >= np.median(count[count > 0]), _row_median(table), np.nan) if count.any() else table[:, 0]
        if np.count_nonzero(~np.isnan(daily)) >= MIN_DAYS:
            values, per_day = daily, 1.0
    width = -(-values.size // MAX_POINTS)
    return (_row_median(_as_rows(values, width)), per_day / width) if width > 1 else (values, per_day)


def _as_rows(values: Floats, width: int) -> Floats:
    """The values cut into rows of `width`, the last one filled with NaN."""
    rows = np.full(-(-values.size // width) * width, np.nan)
    rows[: values.size] = values
    return rows.reshape(-1, width)


def _row_median(table: Floats) -> Floats:
    """Median of each row without gaps; NaN for an empty row."""
    ordered = np.sort(table, axis=1)
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(table.shape[0])
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, table.shape[1] - 1)
    return np.asarray((ordered[rows, low] + ordered[rows, high]) / 2, np.float64)


def _trend_class() -> pl.Expr:
    """One word per series; a sure and sizeable drift comes before rhythm, rhythm before noise. Null where not ok."""
    drifts = (pl.col("q_value") < ALPHA) & (pl.col("drift").abs() > SMALLEST_DRIFT * pl.col("level"))
    return (
        pl.when(pl.col("status") != STATUS_OK)
        .then(None)
        .when(drifts)
        .then(pl.when(pl.col("drift") > 0).then(pl.lit("rising")).otherwise(pl.lit("falling")))
        .when(pl.col("seasonal_strength").fill_null(0.0) >= SEASONAL_FROM)
        .then(pl.lit("seasonal"))
        .when(pl.col("spread") > VOLATILE_FROM * pl.col("level"))
        .then(pl.lit("volatile"))
        .otherwise(pl.lit("flat"))
    )
