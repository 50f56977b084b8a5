"""The members that look at one series alone: level, trend and exponential smoothing.

A member takes many series at once, as they were known at several origins, and gives each one array of `horizon` means,
or None where it cannot say anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray, autocorrelation, block_means, decompose, usable_seasons

Forecasts = list[FloatArray | None]


@dataclass(frozen=True)
class Member:
    """One way to forecast: `predict(origins, horizon, seed)`, origins newest first, each all series as known there.

    alone: what it says of a series does not depend on the others of the call.
    limit: points of history that it looks at unasked in one call, None for any number; in larger calls it runs only for
    the series that screening ranks first. One with `own_holidays` needs no effect added.
    """

    name: str
    predict: Callable[[Sequence[Sequence[Series]], int, int], list[Forecasts]]
    limit: int | None = None
    alone: bool = True
    own_holidays: bool = False


_MAX_ETS_POINTS: Final = 400
_MOST_RECENT: Final = 0.7
"""A part over this share of the history is no news."""
_LEAST_RECENT: Final = 10


def per_series(
    one: Callable[[Series, int], FloatArray | None],
) -> Callable[[Sequence[Sequence[Series]], int, int], list[Forecasts]]:
    """`predict` of a member that looks at one series at a time and draws no random numbers."""

    def predict(origins: Sequence[Sequence[Series]], horizon: int, seed: int) -> list[Forecasts]:
        return [[one(series, horizon) for series in known] for known in origins]

    return predict


def level_season(series: Series, horizon: int) -> FloatArray:
    """The present level and a robust seasonal profile, no trend."""
    return _decomposed(series.filled, series.seasons, horizon, trend=False)


def trend_season(series: Series, horizon: int) -> FloatArray:
    """An undamped Theil-Sen line and a robust seasonal profile, additive or multiplicative."""
    return _decomposed(series.filled, series.seasons, horizon, trend=True)


def recent_trend(series: Series, horizon: int) -> FloatArray | None:
    """`trend_season` of the last third (four long seasons at least), for growth that began or jumped not long ago."""
    y = series.filled
    length = max(y.size // 3, 4 * max(series.seasons, default=1))
    if length > _MOST_RECENT * y.size or length < _LEAST_RECENT:
        return None
    return _decomposed(y[-length:], usable_seasons(series.seasons, length), horizon, trend=True)


def _decomposed(y: FloatArray, seasons: Sequence[int], horizon: int, *, trend: bool) -> FloatArray:
    """Level, trend and profile, approached from the last remainder as fast as remainders fade."""
    parts = decompose(y, seasons, trend=trend)
    fade = min(0.98, autocorrelation(parts.remainder)) ** np.arange(1, horizon + 1)
    return np.asarray(parts.extrapolate(horizon) + parts.remainder[-1] * fade)


def ets(series: Series, horizon: int) -> FloatArray | None:
    """AutoETS (Hyndman et al. 2002; statsforecast) on the deseasonalised means of the shortest season, profile added.

    5 ms a series, where a seasonal ETS on hours takes 300 to 500 ms.
    """
    from statsforecast.models import AutoETS

    y = series.filled
    parts = decompose(y, series.seasons, trend=True)
    shape = parts.profile.at(0, y.size + horizon)
    plain = y / (1 + shape[: y.size]) if parts.multiplicative else y - shape[: y.size]
    shortest = series.seasons[0] if series.seasons else 1
    length = shortest if y.size >= 8 * shortest else 1
    blocks = block_means(plain, length)[-_MAX_ETS_POINTS:]
    if blocks.size < 8 or np.ptp(blocks) == 0:
        return None
    ahead = -(-horizon // length) + 1
    try:
        with np.errstate(all="ignore"):
            found = AutoETS(season_length=1, model="ZZN").forecast(y=blocks, h=ahead)["mean"]
    except (ValueError, RuntimeError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None
    levels = np.asarray(found, dtype=np.float64)
    middles = (np.arange(ahead + 1) - 0.5) * length + 0.5
    trend = np.interp(np.arange(1, horizon + 1), middles, np.concatenate([2 * levels[:1] - levels[1:2], levels]))
    season = shape[y.size :]
    return np.asarray(trend * (1 + season) if parts.multiplicative else trend + season)
