"""From forecast quantiles to the chance that a limit has been reached: arithmetic on one resource's arrays.

Between the quantiles given, and beyond them, values are linear in the normal score z: exact for normal errors. Beyond them there
are incidents, too: rare steps, each for itself, whose distance from the mean falls off as a power and not as a normal tail.

How the errors of one future hang together decides how often a limit is touched. Here the score of day d is
sqrt(lasting) * u + sqrt(1 - lasting) * e_d: u is one error of level and slope for the whole future, e_d comes and goes with
the day (a Gaussian copula with one factor; Vasicek 1987). lasting = 1 gives comonotone paths, the lower Frechet bound of
P(max >= limit) (Embrechts, McNeil and Straumann 2002), lasting = 0 independent days. Within a day paths are comonotone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LASTING: Final = 0.8
"""Share of the variance of errors that lasts."""
INCIDENT: Final = 0.0015
"""Chance of an incident at a step that reaches `FAR` times as far from the mean as the upper end of the 95% interval, or farther."""
FAR: Final = 2.0
"""What is nearer is no more likely: quantiles speak for it."""
DECAY: Final = 1.0
"""x times as far is x ** DECAY times as rare."""
INCIDENT_STEPS: Final = 48
"""Steps in which incidents count: nothing was measured beyond. All five numbers: `benchmarks.capacity`, ADR 50."""
_Z95: Final = 1.959963984540054
_DOUBLINGS: Final = 60
_CERTAIN: Final = 1e6
"""A normal score beyond which nothing is left to chance."""
_U: Final = np.linspace(-8.5, 8.5, 341)
_WEIGHT: Final = np.exp(-(_U**2) / 2) / np.sqrt(2 * np.pi) * (_U[1] - _U[0])


def normal_scores(levels: npt.ArrayLike) -> FloatArray:
    """z of lower ends (descending levels), the mean (0), and upper ends of central intervals of `levels` percent."""
    from scipy.special import ndtri

    upper = np.sort(ndtri(0.5 + np.asarray(levels, dtype=np.float64) / 200))
    return np.concatenate([-upper[::-1], [0.0], upper])


def reach_score(values: FloatArray, scores: FloatArray, limit: float) -> FloatArray:
    """The lowest normal score at which each step is at the limit: -inf where all of it is, inf where nothing can be.

    values: (step, score), not decreasing along scores.
    """
    result = np.full(values.shape[0], np.inf)
    for k in range(scores.size - 2, -1, -1):
        low, high = values[:, k], values[:, k + 1]
        rise = high - low
        outer_low, outer_high = k == 0, k == scores.size - 2
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = scores[k] + (limit - low) / rise * (scores[k + 1] - scores[k])
        flat = rise <= 0
        inside = ((low < limit) | outer_low) & ((high >= limit) | outer_high) & ~flat
        result = np.where(inside, z, result)
        below = flat & (low >= limit)
        result = np.where(below, -np.inf if outer_low else np.minimum(result, scores[k]), result)
    return result


def reached_by(reach: FloatArray, day: npt.NDArray[np.int64], lasting: float = LASTING) -> FloatArray:
    """Chance that the limit has been reached by each step: never falling, never below the chance at the step itself.

    reach: `reach_score` of each step; day: which day each step lies in, ascending; lasting: in [0, 1).
    """
    from scipy.special import log_ndtr

    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    ends = np.append(starts[1:], day.size)
    reach = np.clip(reach, -_CERTAIN, _CERTAIN)
    kept, before = np.empty(day.size), np.zeros(_U.size)
    for start, end in zip(starts, ends, strict=True):
        lowest = np.minimum.accumulate(reach[start:end])
        stays = before[None, :] + log_ndtr((lowest[:, None] - np.sqrt(lasting) * _U) / np.sqrt(1 - lasting))
        kept[start:end] = -np.expm1(stays) @ _WEIGHT
        before = stays[-1]
    return np.clip(np.maximum.accumulate(kept), 0.0, 1.0)


def incident_chance(values: FloatArray, scores: FloatArray, limit: float) -> FloatArray:
    """Chance of each step that an incident takes it to the limit; none where the forecast knows no error."""
    mean, top = values[:, scores.size // 2], values[:, -1]
    width = (top - mean) * _Z95 / scores[-1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distance = np.where(width > 0, (limit - mean) / width, np.inf)
        chance = INCIDENT * np.maximum(distance / FAR, 1.0) ** -DECAY
    return np.where(np.arange(mean.size) < INCIDENT_STEPS, chance, 0.0)


def chances(values: FloatArray, scores: FloatArray, day: npt.NDArray[np.int64], limit: float) -> tuple[FloatArray, FloatArray]:
    """Chance of being at or over the limit at each step, and of having reached it by then."""
    from scipy.special import ndtr

    reach = reach_score(values, scores, limit)
    calm = np.log1p(-incident_chance(values, scores, limit))
    at = 1 - ndtr(reach) * np.exp(calm)
    return np.asarray(at), np.asarray(1 - (1 - reached_by(reach, day)) * np.exp(np.cumsum(calm)))


def capacity_for(values: FloatArray, scores: FloatArray, day: npt.NDArray[np.int64], risk: float) -> float:
    """The lowest limit that is reached within these steps with at most the chance `risk`; inf where none is found."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    def excess(limit: float) -> float:
        return float(chances(values, scores, day, limit)[1][-1]) - risk

    # No limit below the quantile of one step alone will do.
    low = float(quantile_at(values, scores, float(ndtri(1 - risk))).max())
    width = float((values[:, -1] - values[:, 0]).max())
    if not 0 < width < np.inf or excess(low) <= 0:
        return low
    high = low + max(width, 1e-9 * abs(low))
    for _ in range(_DOUBLINGS):
        if excess(high) <= 0:
            break
        high += 2 * (high - low)
    else:
        return np.inf
    return float(brentq(excess, low, high, xtol=1e-9 * width, rtol=1e-14, disp=False))


def quantile_at(values: FloatArray, scores: FloatArray, z: float) -> FloatArray:
    """The value of every step at normal score z."""
    k = int(np.clip(np.searchsorted(scores, z) - 1, 0, scores.size - 2))
    slope = (values[:, k + 1] - values[:, k]) / (scores[k + 1] - scores[k])
    return np.asarray(values[:, k] + slope * (z - scores[k]))


def first_passage(hours: FloatArray, chance: FloatArray, share: float) -> float | None:
    """The beginning of the step in which the chance comes to `share`; None when it does in none of them.

    hours: times at which the steps begin, ascending, in any unit; the result is in the same unit.
    """
    hit = int(np.argmax(chance >= share))
    return float(hours[hit]) if chance[hit] >= share else None
