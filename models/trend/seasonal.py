"""Removing daily and weekly rhythm from one regular series, robustly, and saying how strong it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]


def deseasonalise(values: Floats, season_lengths: Sequence[int]) -> tuple[Floats, float]:
    """The values without their seasonal pattern, and that pattern's strength from 0 to 1 (NaN when none can be seen).

    values: (n,) on a regular grid, NaN for gaps; season_lengths in steps. A season needs two full cycles and is removed
    only where it explains more than that many free parameters would by chance. The pattern of a season is the median
    of each phase of the detrended values, so a few incidents do not enter it.
    Strength is 1 - Var(R) / Var(S + R) with the variance of R corrected for degrees of freedom.
    Source: Wang, Smith and Hyndman, "Characteristic-based clustering", DMKD 13 (2006), section 3.1.
    """
    observed = int(np.count_nonzero(~np.isnan(values)))
    usable = sorted({s for s in season_lengths if s >= 2 and values.size >= 2 * s and observed > s + 2})
    if not usable:
        return values, float("nan")
    detrended = values - moving_median(values, usable[-1])
    rest, free = detrended, 0
    for season in usable:
        candidate = rest - _phase_pattern(rest, season)
        if np.any(_variances(candidate) / (observed - season) < _variances(rest) / (observed - max(free, 1))):
            rest, free = candidate, season
    if not free:
        return values, 0.0
    total = _variances(detrended)
    left = np.divide(_variances(rest), total, out=np.ones(2), where=total > 0) * (observed - 1) / (observed - free)
    return values - (detrended - rest), float(np.clip(1.0 - left.min(), 0.0, 1.0))


def moving_median(values: Floats, window: int, *, slope_over: int | None = None) -> Floats:
    """Centred median over `window` steps (the next odd number) without the gaps; O(n log window).

    Within half a window of an end the line goes on with the slope of the middle: the overall one, or that of the
    `slope_over` steps next to the end.
    """
    half = window // 2
    known = pl.Series(values).fill_nan(None)
    if values.size <= 2 * half:
        return np.full(values.size, _or_nan(known.median()))
    middle = known.rolling_median(2 * half + 1, min_samples=1, center=True).to_numpy()[half : values.size - half]
    places = np.flatnonzero(~np.isnan(middle))
    if not places.size:
        return np.full(values.size, _or_nan(known.median()))
    first, last = int(places[0]), int(places[-1])
    filled = np.interp(np.arange(middle.size), places, middle[places])
    reach = min(slope_over or last - first, last - first)
    rise, climb = filled[first + reach] - filled[first], filled[last] - filled[last - reach]
    before = middle[first] - rise / max(reach, 1) * np.arange(half, 0, -1)
    after = middle[last] + climb / max(reach, 1) * np.arange(1, half + 1)
    return np.concatenate([before, filled, after])


def phase_median(values: Floats, season: int) -> Floats:
    """Median of each phase, (season,); NaN for a phase without values. No warning on empty phases."""
    cycles = -(-values.size // season)
    table = np.full(cycles * season, np.nan)
    table[: values.size] = values
    ordered = np.sort(table.reshape(cycles, season), axis=0)  # NaN last
    count = np.count_nonzero(~np.isnan(ordered), axis=0)
    columns = np.arange(season)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, cycles - 1)
    return np.asarray((ordered[low, columns] + ordered[high, columns]) / 2, np.float64)


def _phase_pattern(values: Floats, season: int) -> Floats:
    """The seasonal pattern along the series: phase medians around their own median; zero where a phase is unknown."""
    profile = phase_median(values, season)
    known = ~np.isnan(profile)
    centred = np.where(known, profile - np.median(profile[known]), 0.0) if known.any() else np.zeros(season)
    return np.resize(centred, values.size)


def _variances(values: Floats) -> Floats:
    """Variance without the gaps: of all values, and of the values clipped to their middle 96%."""
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.02, 0.98])
    return np.array([np.var(known), np.var(np.clip(known, low, high))])


def _or_nan(number: object) -> float:
    """The number as a float, NaN where polars has none."""
    return float(number) if isinstance(number, (int, float)) else float("nan")
