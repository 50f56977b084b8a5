"""From forecast quantiles to the chance that a limit has been reached: arithmetic on one resource's arrays.

Assumption: comonotone paths. Future i is "the path that stays at probability u of every step's distribution", u uniform
in (0, 1): errors of a capacity forecast are mostly errors of level and slope, which last. Then the chance that the
limit is reached by step t is the largest marginal chance up to t. That is the lower Frechet bound of P(max >= limit)
(Embrechts, McNeil and Straumann 2002): noise that comes and goes within a path adds to the true chance.
Between the quantiles given, and beyond them, values are linear in the normal score z: exact for normal errors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def normal_scores(levels: npt.ArrayLike) -> FloatArray:
    """z of lower ends (descending levels), the mean (0), and upper ends of central intervals of `levels` percent."""
    from scipy.special import ndtri

    upper = np.sort(ndtri(0.5 + np.asarray(levels, dtype=np.float64) / 200))
    return np.concatenate([-upper[::-1], [0.0], upper])


def quantile_at(values: FloatArray, scores: FloatArray, z: float) -> FloatArray:
    """The value of every step at normal score z. values: (step, score), not decreasing along scores."""
    k = int(np.clip(np.searchsorted(scores, z) - 1, 0, scores.size - 2))
    slope = (values[:, k + 1] - values[:, k]) / (scores[k + 1] - scores[k])
    return np.asarray(values[:, k] + slope * (z - scores[k]))


def reach_score(values: FloatArray, scores: FloatArray, limit: float) -> FloatArray:
    """The lowest normal score at which each step is at the limit: -inf where all of it is, inf where nothing can be."""
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


def reached_by(values: FloatArray, scores: FloatArray, limit: float) -> FloatArray:
    """Chance that the limit has been reached by each step: never falling."""
    from scipy.special import ndtr

    return np.asarray(np.maximum.accumulate(ndtr(-reach_score(values, scores, limit))))


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
