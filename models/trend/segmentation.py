"""Cutting one noisy sequence into level and straight pieces, and how sure each cut is. No times, no seasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUT_PRICE = 3.0
"""What a cut costs, in units of log(n) times the noise: a little over the 2 of Yao's criterion."""
CORRELATION_ERROR = 1.5
"""How far the block autocorrelation is taken below its estimate, times the root of the number of blocks."""
CLIPPED_SHARE = 0.979
"""Variance of a standard normal drawn in to 2.5."""
SLOPE_PRICE = 1.0
"""What the slope of a piece costs on top, in the same unit."""


@dataclass(frozen=True)
class Cut:
    """A border between two pieces: `place` is the first index after it. p_value allows for the choice of the place."""

    place: int
    p_value: float


@dataclass(frozen=True)
class Costs:
    """What every piece [i, j) costs, in units of the noise variance: matrices (n + 1, n + 1).

    level, line: squared error around the best constant and the best straight line; lever: its signed slope times width.
    """

    level: Floats
    line: Floats
    lever: Floats


def piece_costs(values: Floats, noise: float) -> Costs:
    """The costs of all pieces of values (n,) with noise variance `noise` > 0; O(n^2) time and memory (5 ms at 400)."""
    n = values.size
    centred = (values - np.median(values)) / np.sqrt(noise)
    place = np.arange(n, dtype=np.float64)
    sums, squares, moments = (np.concatenate([[0.0], np.cumsum(v)]) for v in (centred, centred**2, centred * place))
    first, last = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    size = np.maximum(last - first, 1).astype(np.float64)
    total = sums[None, :] - sums[:, None]
    level = np.maximum(squares[None, :] - squares[:, None] - total**2 / size, 0.0)
    lever = moments[None, :] - moments[:, None] - total * ((first + last - 1) / 2)
    line = np.maximum(level - lever**2 / _width(size), 0.0)
    return Costs(level, line, lever)


def best_cuts(costs: Costs, shortest: int) -> list[int]:
    """The borders of the cheapest cutting into pieces of at least `shortest`, by exact dynamic programming, O(n^2).

    Source: Jackson et al., "An algorithm for optimal partitioning of data on an interval", IEEE SPL 12 (2005);
    penalty after Yao, Statistics & Probability Letters 6 (1988).
    """
    n = costs.level.shape[0] - 1
    price = float(np.log(max(n, 3)))
    piece = np.minimum(costs.level, costs.line + SLOPE_PRICE * price).T.copy() + CUT_PRICE * price
    total, origin = np.full(n + 1, np.inf), np.zeros(n + 1, np.int64)
    total[0] = 0.0
    for end in range(shortest, n + 1):
        ways = total[: end - shortest + 1] + piece[end, : end - shortest + 1]
        origin[end] = np.argmin(ways)
        total[end] = ways[origin[end]]
    cuts, end = [], int(origin[n])
    while end > 0:
        cuts.append(end)
        end = int(origin[end])
    return cuts[::-1]


def sure_cuts(costs: Costs, cuts: list[int], shortest: int, freedom: float, alpha: float) -> list[Cut]:
    """The cuts that remain when the least sure is taken out until all have a p-value of at most `alpha`.

    freedom: degrees of freedom of the noise estimate. The last cut is reported whatever its p-value, because the
    control of false discoveries needs to know of every test.
    """
    borders = [0, *cuts, costs.level.shape[0] - 1]
    while len(borders) > 2:
        p = [cut_p_value(costs, borders[k - 1], borders[k], borders[k + 1], shortest, freedom) for k in range(1, len(borders) - 1)]
        worst = int(np.argmax(p))
        if p[worst] <= alpha or len(p) == 1:
            return [Cut(place, value) for place, value in zip(borders[1:-1], p, strict=True)]
        del borders[worst + 1]
    return []


def cut_p_value(costs: Costs, first: int, place: int, last: int, shortest: int, freedom: float) -> float:
    """How likely the best cut of [first, last) gains as much where nothing changes.

    Either it is a step (F test against one level, times the places to choose from), and then also a step beside a slope
    that both sides share, so that a ramp is not a step; or it is a bend: two lines against one line, times the places.
    Twice the smaller of both, for having tried both.
    """
    from scipy.stats import f

    choices = max(last - first - 2 * shortest + 1, 1)
    apart = costs.level[first, place] + costs.level[place, last]
    shared = (costs.lever[first, place] + costs.lever[place, last]) ** 2 / (_width(place - first) + _width(last - place))
    gains = (
        (costs.level[first, last] - apart, 1.0),
        (costs.line[first, last] - (apart - shared), 1.0),
        (costs.line[first, last] - costs.line[first, place] - costs.line[place, last], 2.0),
    )
    step, step_beside_slope, bend = (float(f.sf(max(gain, 0.0) / df, df, freedom)) for gain, df in gains)
    return min(1.0, 2.0 * min(max(choices * step, step_beside_slope), choices * bend))


def noise_variance(values: Floats, widths: Sequence[int]) -> float:
    """Variance of one value as it enters sums over many (long-run variance), robust against steps, spikes and slopes.

    For each width the values are averaged in blocks; the spread of differences between blocks one and two apart gives
    the variance and the order-one autocorrelation of the block means (less one standard error: an estimate near 1 would
    hide every step). The geometric mean over the widths. 0 for a constant.
    Source: Chakar et al., "A robust approach for estimating change-points in the mean of an AR(1) process",
    Bernoulli 23 (2017), section 2, with the standard deviation after clipping as the robust scale.
    """
    answers = []
    for width in widths:
        blocks = values[: values.size // width * width].reshape(-1, width).mean(axis=1)
        one, two = (_spread(blocks[lag:] - blocks[:-lag]) ** 2 for lag in (1, 2))
        certain = two / one - 1.0 - CORRELATION_ERROR / np.sqrt(blocks.size) if one > 0 else 0.0
        correlation = float(np.clip(certain, 0.0, 0.95))
        answers.append(width * one / 2 * (1 + correlation) / (1 - correlation) ** 2)
    return float(np.exp(np.mean(np.log(answers)))) if min(answers) > 0 else 0.0


def _spread(values: Floats) -> float:
    """Standard deviation after drawing the values in to 2.5 times their median absolute deviation (of the mean absolute
    deviation where over half are equal)."""
    centred = values - np.median(values)
    distance = np.abs(centred)
    scale = float(1.4826 * np.median(distance)) or float(1.2533 * np.mean(distance))
    return float(np.sqrt(np.mean(np.minimum(distance, 2.5 * scale) ** 2) / CLIPPED_SHARE))


def _width(size: Floats | float) -> Floats:
    """Sum of squares of `size` consecutive places around their mean; at least 1/2."""
    return np.asarray(np.maximum(size * (np.square(size) - 1) / 12, 0.5))
