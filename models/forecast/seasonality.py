"""Robust trend and seasonal profile of one gap-free array: the parts from which the members build a forecast.

Arrays in, arrays out; index 0 of an array is phase 0 of every season.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_BLOCKS: Final = 120
"""Blocks that enter the pairwise slopes: at most 7,140 pairs."""
_MAX_CYCLES: Final = 40
"""Cycles that shape a profile; older ones say little about tomorrow's rhythm."""


@dataclass(frozen=True)
class Profile:
    """A sum of seasonal components, each (length in steps, one value per phase)."""

    components: tuple[tuple[int, FloatArray], ...]

    def at(self, first: int, count: int) -> FloatArray:
        """The seasonal part of points `first`, `first + 1`, ... (`count` of them)."""
        index = np.arange(first, first + count)
        total = np.zeros(count)
        for length, values in self.components:
            total += values[index % length]
        return total


@dataclass(frozen=True)
class Decomposition:
    """y = (level + slope * (t - n + 1)) plus or times the profile, plus the remainder; `level`: at the last point."""

    level: float
    slope: float
    profile: Profile
    multiplicative: bool
    remainder: FloatArray

    def extrapolate(self, horizon: int) -> FloatArray:
        """The next `horizon` points without remainder."""
        trend = self.level + self.slope * np.arange(1, horizon + 1)
        season = self.profile.at(self.remainder.size, horizon)
        return trend * (1 + season) if self.multiplicative else trend + season


def usable_seasons(seasons: Sequence[int], size: int) -> tuple[int, ...]:
    """The season lengths of which the array holds two cycles, ascending."""
    return tuple(sorted(m for m in seasons if 2 * m <= size))


def theil_sen(y: FloatArray) -> float:
    """Median of the slopes between all pairs of points, per step (Sen 1968); 0 for one point."""
    if y.size < 2:
        return 0.0
    first, second = np.triu_indices(y.size, 1)
    return float(np.median((y[second] - y[first]) / (second - first)))


def block_means(y: FloatArray, length: int) -> FloatArray:
    """Means of consecutive blocks, counted from the end (a shorter rest at the start is left out)."""
    count = y.size // length
    return np.asarray(y[y.size - count * length :].reshape(count, length).mean(axis=1))


def robust_slope(y: FloatArray, season: int) -> float:
    """Slope per step from the Theil-Sen slope of block means; a block is whole seasons, so a season leaves no trace."""
    length = season * max(1, -(-y.size // (season * MAX_BLOCKS)))
    return theil_sen(block_means(y, length)) / length


def fit_profile(detrended: FloatArray, seasons: Sequence[int]) -> Profile:
    """Seasonal profile with mean about zero: short season first, then what the longer one adds to it.

    Phase values are means after winsorising at 2.5 robust deviations. Where a long season is a multiple of a shorter
    one (week and day) it first gets one value per short season, and its single phases only c / (c + 3) of what c
    cycles show, because few weeks say little about each hour of a week.
    """
    rest = detrended - detrended.mean()
    components: list[tuple[int, FloatArray]] = []
    shorter = 1
    for m in seasons:
        values = _phase_values(rest, m)
        if shorter > 1 and m % shorter == 0:
            coarse = np.repeat(values.reshape(-1, shorter).mean(axis=1), shorter)
            cycles = min(rest.size // m, _MAX_CYCLES)
            values = coarse + (values - coarse) * cycles / (cycles + 3)
        values = values - values.mean()
        components.append((m, values))
        rest = rest - values[np.arange(rest.size) % m]
        shorter = m
    return Profile(tuple(components))


def decompose(y: FloatArray, seasons: Sequence[int], *, trend: bool) -> Decomposition:
    """Trend and season of a gap-free array; multiplicative where all values are positive and it fits clearly better.

    The level is the median of as many of the last blocks as their autocorrelation allows (all of them for white
    remainders, the newest alone for a random walk).
    """
    additive = _decompose(y, seasons, trend=trend, multiplicative=False)
    if not seasons or y.min() <= 0:
        return additive
    other = _decompose(y, seasons, trend=trend, multiplicative=True)
    better = np.abs(other.remainder).mean() < 0.97 * np.abs(additive.remainder).mean()
    return other if better else additive


def fill_gaps(values: FloatArray, seasons: Sequence[int]) -> FloatArray:
    """The array with NaN replaced: what the median of each phase leaves is interpolated, then the phase added."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    index, known = np.arange(values.size), np.flatnonzero(~missing)
    base = np.interp(index, known, values[known])
    season = next((m for m in reversed(seasons) if known.size >= 2 * m), 1)
    trend = np.interp(index, *_coarse_line(values, season))
    profile = np.zeros(season)
    if season > 1:
        padded = np.full(-(-values.size // season) * season, np.nan)
        padded[: values.size] = values - trend
        profile = np.nan_to_num(_median_of_known(padded.reshape(-1, season).T))
    phases = profile[index % season]
    base = np.interp(index, known, values[known] - phases[known]) + phases
    return np.where(missing, base, values)


def _coarse_line(values: FloatArray, season: int) -> tuple[FloatArray, FloatArray]:
    """Middles and medians of at most `MAX_BLOCKS` season-long blocks, evenly spread, that hold any value."""
    starts = np.arange(0, values.size, season * max(1, values.size // (season * MAX_BLOCKS)))
    at = starts[:, None] + np.arange(season)
    medians = _median_of_known(np.where(at < values.size, values[np.minimum(at, values.size - 1)], np.nan))
    known = np.isfinite(medians)
    return np.asarray(starts[known] + season / 2, dtype=np.float64), medians[known]


def _median_of_known(rows: FloatArray) -> FloatArray:
    """Median of each row without its NaNs; NaN for a row without any value."""
    ordered, count = np.sort(rows, axis=1), np.isfinite(rows).sum(axis=1)[:, None]
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, rows.shape[1] - 1)
    return np.asarray((np.take_along_axis(ordered, low, axis=1) + np.take_along_axis(ordered, high, axis=1))[:, 0] / 2)


def _phase_values(rest: FloatArray, m: int) -> FloatArray:
    """Winsorised mean of each phase over the newest cycles."""
    cycles = min(rest.size // m, _MAX_CYCLES)
    start = rest.size - cycles * m
    matrix = np.roll(rest[start:].reshape(cycles, m), start % m, axis=1)
    middle = np.median(matrix, axis=0)
    deviation = 2.5 * 1.4826 * float(np.median(np.abs(matrix - middle)))
    if deviation > 0:
        matrix = np.clip(matrix, middle - deviation, middle + deviation)
    return np.asarray(matrix.mean(axis=0))


def _decompose(y: FloatArray, seasons: Sequence[int], *, trend: bool, multiplicative: bool) -> Decomposition:
    """One additive or multiplicative decomposition: slope, profile, slope again without the profile, level."""
    n = y.size
    ages = np.arange(1 - n, 1)
    longest = seasons[-1] if seasons else 1
    slope = robust_slope(y, longest) if n >= 3 * longest or not seasons else robust_slope(y, seasons[0])
    line = slope * ages
    line = line + np.median(y - line)
    if multiplicative and line.min() <= 0:
        multiplicative = False
    profile = fit_profile(y / line - 1 if multiplicative else y - line, seasons)
    shape = profile.at(0, n)
    if multiplicative and shape.min() <= -0.95:
        return _decompose(y, seasons, trend=trend, multiplicative=False)
    plain = y / (1 + shape) if multiplicative else y - shape
    shortest = seasons[0] if seasons else 1
    slope = robust_slope(plain, shortest if n >= 8 * shortest else 1) if trend else 0.0
    level = _level(plain - slope * ages, shortest)
    fitted = (level + slope * ages) * (1 + shape) if multiplicative else level + slope * ages + shape
    return Decomposition(level, slope, profile, multiplicative, y - fitted)


def _level(flat: FloatArray, season: int) -> float:
    """Median of the last b ** (1 - r) of b block means, r their first autocorrelation."""
    blocks = block_means(flat, season if flat.size >= 4 * season else 1)
    count = max(1, round(blocks.size ** (1 - autocorrelation(blocks))))
    return float(np.median(blocks[-count:]))


def autocorrelation(x: FloatArray) -> float:
    """First autocorrelation within [0, 1]; 0 for fewer than three points or no variation."""
    if x.size < 3:
        return 0.0
    centred = x - x.mean()
    power = float(centred @ centred)
    return min(1.0, max(0.0, float(centred[1:] @ centred[:-1]) / power)) if power > 0 else 0.0
