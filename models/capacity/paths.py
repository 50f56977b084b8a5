"""From forecast quantiles to the chance that a limit has been reached: arithmetic on one resource's arrays.

Between the quantiles given, and beyond them, values are linear in the normal score z: exact for normal errors.

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

LASTING: Final = 0.75
"""Share of the variance of errors that lasts; measured by `benchmarks.capacity`."""
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
        with np.errstate(divide="ignore", invalid="ignore"):
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
    kept, before = np.empty(day.size), np.zeros(_U.size)
    for start, end in zip(starts, ends, strict=True):
        lowest = np.minimum.accumulate(reach[start:end])
        stays = before[None, :] + log_ndtr((lowest[:, None] - np.sqrt(lasting) * _U) / np.sqrt(1 - lasting))
        kept[start:end] = -np.expm1(stays) @ _WEIGHT
        before = stays[-1]
    return np.clip(np.maximum.accumulate(kept), 0.0, 1.0)


def capacity_for(values: FloatArray, scores: FloatArray, day: npt.NDArray[np.int64], risk: float) -> float:
    """The lowest limit that is reached within these steps with at most the chance `risk`."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    def excess(limit: float) -> float:
        return float(reached_by(reach_score(values, scores, limit), day)[-1]) - risk

    # One step alone reaches it with `risk` below; by Boole's inequality all of them together with less above.
    z = ndtri(1 - risk), ndtri(1 - risk / (2 * day.size))
    low, high = (float(max(quantile_at(values, scores, at).max() for at in z[: k + 1])) for k in (0, 1))
    if high <= low or excess(low) <= 0:
        return low
    return float(brentq(excess, low, high, xtol=1e-9 * (high - low), rtol=1e-14)) if excess(high) < 0 else high


def quantile_at(values: FloatArray, scores: FloatArray, z: float) -> FloatArray:
    """The value of every step at normal score z."""
    k = int(np.clip(np.searchsorted(scores, z) - 1, 0, scores.size - 2))
    slope = (values[:, k + 1] - values[:, k]) / (scores[k + 1] - scores[k])
    return np.asarray(values[:, k] + slope * (z - scores[k]))


def first_passage(hours: FloatArray, chance: FloatArray, share: float) -> float | None:
    """When the chance first is `share`, linear between steps; None when it is not before the last of them.

    hours: times of the steps, ascending, in any unit; the result is in the same unit.
    """
    hit = int(np.argmax(chance >= share))
    if chance[hit] < share:
        return None
    if hit == 0 or chance[hit] <= chance[hit - 1]:
        return float(hours[hit])
    part = (share - chance[hit - 1]) / (chance[hit] - chance[hit - 1])
    return float(hours[hit - 1] + part * (hours[hit] - hours[hit - 1]))
