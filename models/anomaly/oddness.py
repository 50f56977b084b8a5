"""Causal measures of oddness over one series, and the tail probability that makes them comparable.

Every function maps values (n,) to numbers (n,), and element i depends on elements up to i alone. What they remember is
bounded (fixed windows, exponential averages, 64 patterns), so a stream needs constant memory per series.
The choice of measures follows trials on the Numenta Anomaly Benchmark: their mean loses by leaving out any one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.anomaly.familiar import unfamiliar

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

LOOKBACK = 8064
"""The past that a tail probability is taken over, in points: 28 days of 5 minutes."""
PAST_DAYS, PAST_WEEKS = 7, 4
"""How many former values at the same time of day, and of the week, a forecast is the median of."""
RECENT, LEVEL, RECORD = 6, 12, 288
"""Half-lives in points: of the recent level, of the level added to a rhythm, of each forecast's record of errors."""
DRIFT, UNREST = 36, 12
"""Points over which errors of the forecast are averaged: with their sign, and without."""
ENTROPY_WINDOWS = ((52, 1000), (104, 2000))
"""Points whose distribution is compared, and the half-life of the past that it is compared with: a short and a long view."""
BIN_EDGES = (-1.5, -0.5, 0.5, 1.5)
"""Borders of the bins of that distribution, in standard deviations from the mean of the past."""


def expected(times: Times, values: Floats, step: timedelta) -> Floats:
    """A forecast of each value from those before it; NaN for the first.

    Of five (recent level; median at this time of day, of the week; both shifted by the recent distance from them) the
    one with the smallest recent absolute error at that point. times: (n,) ascending; step: their usual distance.
    """
    micros = times.astype("datetime64[us]").astype(np.int64)
    slot = micros % 86_400_000_000 // (step // timedelta(microseconds=1))
    rhythm = pl.DataFrame({"value": values, "day": slot, "week": slot * 7 + micros // 86_400_000_000 % 7}).select(
        day=pl.col("value").shift(1).rolling_median(PAST_DAYS, min_samples=2).over("day"),
        week=pl.col("value").shift(1).rolling_median(PAST_WEEKS, min_samples=1).over("week"),
    )
    forecasts = [_before(_average(values, RECENT))]
    for name in ("day", "week"):
        pattern = rhythm[name].fill_null(float("nan")).to_numpy()
        forecasts += [pattern, pattern + _before(_average(values - pattern, LEVEL))]
    table = np.vstack(forecasts)
    records = np.vstack([_before(_average(np.abs(values - forecast), RECORD)) for forecast in forecasts])
    best = np.where(np.isnan(table) | np.isnan(records), np.inf, records).argmin(axis=0)
    return np.asarray(np.take_along_axis(table, best[None, :], axis=0)[0])


def measures(values: Floats, forecast: Floats) -> Iterator[Floats]:
    """The measures of oddness of each value, larger is odder, zero is not odd; forecast: `expected` of the values.

    The error of the forecast, its drift and its unrest; how far beyond all values before; how unlike the past the recent
    distribution, in two widths; how unfamiliar the recent shape.
    """
    error = np.nan_to_num(values - forecast)
    yield np.abs(error)
    yield np.abs(window_mean(error, DRIFT))
    yield window_mean(np.abs(error), UNREST)
    yield beyond_past(values)
    for window, half_life in ENTROPY_WINDOWS:
        yield unlike_past(values, window, half_life)
    yield unfamiliar(values)


def beyond_past(values: Floats) -> Floats:
    """How far each value lies outside all before it, as a share of their range; 0 inside, and while they have no range."""
    high, low = _before(np.maximum.accumulate(values)), _before(np.minimum.accumulate(values))
    known = high > low
    outside = np.maximum(np.maximum(values - high, low - values), 0.0)
    return np.divide(outside, high - low, out=np.zeros(values.size), where=known)


def unlike_past(values: Floats, window: int, half_life: int) -> Floats:
    """Relative entropy of the distribution of the last `window` values against that of the past before them.

    Values are binned in standard deviations from the mean, both of the past, which is weighted with `half_life` in points.
    0 until two windows have passed.
    Source: Wang et al., "Statistical techniques for online anomaly detection in data centers", IM 2011, section IV.
    """
    mean = np.nan_to_num(_before(_average(values, half_life)), nan=values[0])
    spread = np.sqrt(np.nan_to_num(_before(_average(np.square(values - mean), half_life))))
    distance = np.divide(values - mean, spread, out=np.zeros(values.size), where=spread > 0)
    entropy = np.zeros(values.size)
    bins = np.digitize(distance, BIN_EDGES)
    for k in range(len(BIN_EDGES) + 1):
        inside = (bins == k).astype(np.float64)
        recent = window_mean(inside, window)
        past = np.nan_to_num(_before(_average(inside, half_life), window)) + 0.01  # never surprised without end
        entropy += np.where(recent > 0, recent * np.log(np.maximum(recent, 1e-12) / past), 0.0)
    entropy[: 2 * window] = 0.0
    return np.maximum(entropy, 0.0)


def tail_probability(measure: Floats) -> Floats:
    """The share of the last `LOOKBACK` elements, this one included, that are at least as large as this one: (0, 1]."""
    rank = pl.Series(-measure).rolling_rank(LOOKBACK, method="max", min_samples=1).to_numpy()
    return np.asarray(rank / np.minimum(np.arange(1, measure.size + 1), LOOKBACK), np.float64)


def _average(values: Floats, half_life: int) -> Floats:
    """Exponentially weighted mean up to and with each element, gaps left out."""
    series = pl.Series(values).fill_nan(None)
    return series.ewm_mean(half_life=half_life, ignore_nulls=True).fill_null(float("nan")).to_numpy()


def _before(values: Floats, by: int = 1) -> Floats:
    """The values `by` places later, NaN in front."""
    return np.concatenate([np.full(min(by, values.size), np.nan), values[: max(values.size - by, 0)]])


def window_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` elements, of what there is at the beginning counted as zero.

    Sums begin anew with every `window` elements: what a huge value rounds away is there again once it has left.
    """
    parts = np.concatenate([np.zeros(window), values, np.zeros(-values.size % window)]).reshape(-1, window)
    until = np.cumsum(parts, axis=1).ravel()
    since = np.cumsum(parts[:, ::-1], axis=1)[:, ::-1].ravel()
    last = np.arange(window, window + values.size)
    first = last - window + 1
    return np.asarray(np.where(first % window == 0, until[last], since[first] + until[last]) / window)
