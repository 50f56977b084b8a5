"""A history as the members see it: one gap-filled array per series on a regular grid, without breaks and holidays.

Preparation only; nothing here looks ahead of the history or knows a forecasting method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.forecast.seasonality import FloatArray, fill_gaps, usable_seasons
from models.series import ANY_TYPE, TIME, clean_history, ensure_columns, season_lengths_of, step_of

MAX_POINTS: Final = 20_000
"""The newest grid points of a series that are used: 2.3 years of hours, 69 days of 5 minutes."""
MIN_POINTS: Final = 10
"""Fewer observed points than this (or than two of the shortest season) are not enough to judge any method."""
MAX_HORIZON_SHARE: Final = 4
"""A horizon over this many times the history would be a guess."""
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True)
class Series:
    """One series on a grid of `step_us`: scaled by a power of two so that the largest value lies in [1, 2).

    `values` hold NaN where nothing was observed; `filled` is what members learn from: holidays and gaps interpolated.
    `effect` is what a holiday adds, for the history and the horizon after it; `holiday` says which steps are holidays.
    """

    key: Any
    first_bucket: int
    step_us: int
    scale: float
    values: FloatArray
    filled: FloatArray
    seasons: tuple[int, ...]
    effect: FloatArray
    holiday: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of grid points of the history."""
        return int(self.values.size)

    def upto(self, cutoff: int) -> Series:
        """The series as it was known after its first `cutoff` points."""
        values = self.values[:cutoff]
        seasons = usable_seasons(self.seasons, cutoff)
        if self.filled is self.values:
            return replace(self, values=values, filled=values, seasons=seasons)
        return _without_holidays(replace(self, values=values, filled=fill_gaps(values, seasons), seasons=seasons))

    def times_us(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """Times of grid points `first`... in microseconds since 1970."""
        return (self.first_bucket + np.arange(first, first + count, dtype=np.int64)) * self.step_us


@dataclass(frozen=True)
class Panel:
    """The series that can be forecast, and the keys of those that lack data."""

    ready: list[Series]
    lacking: list[Any]
    key_type: pl.DataType
    step: timedelta


def build_panel(
    history: pl.DataFrame,
    *,
    horizon: int,
    freq: str | timedelta,
    season_lengths: Sequence[int] | None = None,
    holidays: pl.DataFrame | Sequence[date] | None = None,
    breaks: pl.DataFrame | None = None,
) -> Panel:
    """Every series of the history on its grid (points: mean of the values in the step), ready for the members.

    Leading and trailing nulls are cut, so that a forecast starts after the last observed value.
    Raises ValueError for missing columns, unusable types, or a bad `freq` or `season_lengths`.
    """
    step = step_of(freq)
    seasons = sorted(set(season_lengths_of(step) if season_lengths is None else season_lengths))
    if any(m < 2 for m in seasons):
        raise ValueError(f"season_lengths {seasons} are steps of freq: each must be 2 or more")
    cleaned = clean_history(history)
    holiday_days, break_times = _holiday_days(holidays), _last_breaks(breaks)
    step_us = step // _MICROSECOND
    times, values = cleaned["time"].dt.epoch("us").to_numpy(), cleaned["value"].fill_null(float("nan")).to_numpy()
    ready: list[Series] = []
    lacking: list[Any] = []
    end = 0
    for count, key in cleaned["series_id"].rle().struct.unnest().iter_rows():
        begin, end = end, end + count
        first, grid = _on_grid(times[begin:end], values[begin:end], step_us)
        series = _series(key, first, grid, step_us, seasons, horizon, break_times.get(key))
        if series is None:
            lacking.append(key)
        else:
            days = holiday_days.get(None, set()) | holiday_days.get(key, set())
            ready.append(_with_holidays(series, days, horizon))
    return Panel(ready, lacking, cleaned.schema["series_id"], step)


def _on_grid(times: npt.NDArray[np.int64], values: FloatArray, step_us: int) -> tuple[int, FloatArray]:
    """The first step and the means of the values in each step from the first to the last observed one, NaN without any.

    times: ascending, in microseconds; of a longer series the newest `MAX_POINTS` steps stay.
    """
    known = np.isfinite(values)
    if not known.all():
        times, values = times[known], values[known]
    if not values.size:
        return 0, values
    buckets = times // step_us
    last = int(buckets[-1])
    start = int(np.searchsorted(buckets, last - MAX_POINTS, side="right"))
    buckets, values = buckets[start:] - buckets[start], values[start:]
    first, size = last - int(buckets[-1]), int(buckets[-1]) + 1
    if size == values.size and (np.diff(buckets) == 1).all():
        return first, values
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    counts = np.diff(starts, append=values.size)
    # A share of each value is added up, not the values, whose sum may pass the largest float; the mean of equal values is that value.
    means = np.add.reduceat(values / np.repeat(counts, counts), starts)
    grid = np.full(size, np.nan)
    grid[buckets[starts]] = np.clip(means, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))
    return first, grid


def _series(
    key: Any, first: int, values: FloatArray, step_us: int, seasons: Sequence[int], horizon: int, last_break: int | None
) -> Series | None:
    """The series on its grid, or None when there is too little of it."""
    if last_break is not None:
        values, cut = _discount(values, -(-last_break // step_us) - first, seasons)
        first += cut
    needed = max(MIN_POINTS, 2 * min(seasons, default=0))
    if np.isfinite(values).sum() < needed or horizon > MAX_HORIZON_SHARE * values.size:
        return None
    largest = float(np.nanmax(np.abs(values)))
    scale = 2.0 ** int(np.floor(np.log2(largest))) if largest > 1e-290 else 1.0
    values = values / scale
    usable = usable_seasons(seasons, values.size)
    # Views of one number: a fleet's holidays, where there are none, take no memory.
    effect, holiday = np.broadcast_to(0.0, values.size + horizon), np.broadcast_to(False, values.size + horizon)
    return Series(key, first, step_us, scale, values, fill_gaps(values, usable), usable, effect, holiday)


def _discount(values: FloatArray, position: int, seasons: Sequence[int]) -> tuple[FloatArray, int]:
    """The values with the history before a break (`position` is the first after it) cut or brought to the new level.

    Cut where four of the longest season follow the break; otherwise the old part keeps its rhythm at the new level.
    The second number says how many points were cut.
    """
    after = values.size - position
    if position <= 0 or after <= 0:
        return values, 0
    enough = max(4 * max(seasons, default=1), 4 * MIN_POINTS)
    if after >= enough:
        keep = position + int(np.argmax(np.isfinite(values[position:])))
        return values[keep:], keep
    season = next((m for m in sorted(seasons, reverse=True) if m <= min(after, position)), 1)
    span = max(season, min(after, position, MIN_POINTS) // season * season)
    old, new = values[max(0, position - span) : position], values[position : position + span]
    if not (np.isfinite(old).any() and np.isfinite(new).any()):
        return values, 0
    shifted = values.copy()
    shifted[:position] += np.nanmedian(new) - np.nanmedian(old)
    return shifted, 0


def _with_holidays(series: Series, days: set[int], horizon: int) -> Series:
    """The series with its holidays taken out of `filled` and their mean effect, by time of day, in `effect`."""
    if not days:
        return series
    times = series.times_us(0, series.size + horizon)
    holiday = np.isin(times // _DAY_US, np.fromiter(days, dtype=np.int64))
    if not holiday[: series.size].any():
        return series
    return _without_holidays(replace(series, holiday=holiday))


def _without_holidays(series: Series) -> Series:
    """The same by what is known of the series: values of holidays in `filled`, and no effect, where that is too little."""
    holiday, past = series.holiday, series.holiday[: series.size]
    effect = np.broadcast_to(0.0, holiday.size)
    if not past.any() or (np.isfinite(series.values) & ~past).sum() < MIN_POINTS:
        return replace(series, effect=effect)
    plain = fill_gaps(np.where(past, np.nan, series.values), series.seasons)
    phase = (series.times_us(0, holiday.size) % _DAY_US) // series.step_us
    effect = np.zeros(holiday.size)
    excess = series.values - plain
    for p in np.unique(phase[holiday]):
        known = excess[past & (phase[: series.size] == p)]
        known = known[np.isfinite(known)]
        # n / (n + 1): one holiday seen moves the next one by half of what it did.
        effect[holiday & (phase == p)] = np.median(known) * known.size / (known.size + 1) if known.size else 0.0
    return replace(series, filled=plain, effect=effect)


def _holiday_days(holidays: pl.DataFrame | Sequence[date] | None) -> dict[Any, set[int]]:
    """Days since 1970 that are holidays, per series; the key None is for all."""
    if holidays is None:
        return {}
    if not isinstance(holidays, pl.DataFrame):
        holidays = pl.DataFrame({"date": pl.Series(list(holidays), dtype=pl.Date)})
    frame = ensure_columns(holidays, {"date": ANY_TYPE}).with_columns(pl.col("date").cast(pl.Date)).drop_nulls("date")
    if "series_id" not in frame.columns:
        frame = frame.with_columns(series_id=pl.lit(None))
    found: dict[Any, set[int]] = {}
    for key, day in frame.select("series_id", pl.col("date").to_physical()).iter_rows():
        found.setdefault(key, set()).add(day)
    return found


def _last_breaks(breaks: pl.DataFrame | None) -> dict[Any, int]:
    """The last break of each series, in microseconds since 1970."""
    if breaks is None:
        return {}
    frame = ensure_columns(breaks, {"series_id": ANY_TYPE, "time": TIME}).drop_nulls("time")
    return dict(frame.group_by("series_id").agg(pl.col("time").max().dt.epoch("us")).select("series_id", "time").iter_rows())
