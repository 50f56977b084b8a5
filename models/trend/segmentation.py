"""Cutting one noisy sequence into level and straight pieces, and how sure each cut is. No times, no seasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUT_PRICE = 3.0
"""What a cut costs, in units of log(n) times the noise: a little over the 2 of Yao's criterion."""
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
    Without lines only constants may stand for a piece.
    """

    level: Floats
    line: Floats | None = None
    lever: Floats | None = None


def piece_costs(values: Floats, noise: float, *, lines: bool = True) -> Costs:
    """The costs of all pieces of values (n,) with noise variance `noise` > 0; O(n^2) time and memory (5 ms at 400)."""
    n = values.size
    centred = (values - np.median(values)) / np.sqrt(noise)
    place = np.arange(n, dtype=np.float64)
    sums, squares, moments = (np.concatenate([[0.0], np.cumsum(v)]) for v in (centred, centred**2, centred * place))
    first, last = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    size = np.maximum(last - first, 1).astype(np.float64)
    total = sums[None, :] - sums[:, None]
    level = np.maximum(squares[None, :] - squares[:, None] - total**2 / size, 0.0)
    if not lines:
        return Costs(level)
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
    cheapest = costs.level if costs.line is None else np.minimum(costs.level, costs.line + SLOPE_PRICE * price)
    piece = cheapest.T.copy() + CUT_PRICE * price
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
    Twice the smaller of both, for having tried both. Without lines only the step is looked for.
    """
    from scipy.stats import f

    choices = max(last - first - 2 * shortest + 1, 1)
    apart = costs.level[first, place] + costs.level[place, last]
    gain = costs.level[first, last] - apart
    if costs.line is None or costs.lever is None:
        return min(1.0, choices * float(f.sf(max(gain, 0.0), 1.0, freedom)))
    shared = (costs.lever[first, place] + costs.lever[place, last]) ** 2 / (_width(place - first) + _width(last - place))
    gains = (
        (gain, 1.0),
        (costs.line[first, last] - (apart - shared), 1.0),
        (costs.line[first, last] - costs.line[first, place] - costs.line[place, last], 2.0),
    )
    step, step_beside_slope, bend = (float(f.sf(max(gained, 0.0) / df, df, freedom)) for gained, df in gains)
    return min(1.0, 2.0 * min(max(choices * step, step_beside_slope), choices * bend))


def jumps(values: Floats, shortest: int) -> list[Cut]:
    """Where a wandering sequence jumps: its medians over `shortest` values before and after differ as nowhere else.

    The differences of a random walk are as stationary as those of level noise, so their own robust spread says what is
    usual, whatever the noise; there are about as many independent ones as pieces of that length. Of jumps closer than
    `shortest` the largest stays; p_value allows for the choice of the place. Where more than a twentieth of the pieces
    begin with a jump (three at least), jumping is what the sequence does, and nothing is found.
    Source: Eichinger and Kirch, "A MOSUM procedure for the estimation of multiple random change points", Bernoulli 24
    (2018), with a self-normalised statistic.
    """
    from scipy.stats import t

    windows = np.median(np.lib.stride_tricks.sliding_window_view(values, shortest), axis=1)
    contrast = windows[shortest:] - windows[:-shortest]
    centred = np.abs(contrast - np.median(contrast))
    middle, upper = np.quantile(centred, [0.5, 0.8])
    scale = float(max(middle / 0.6745, upper / 1.2816))
    independent = values.size / shortest
    found: list[Cut] = []
    while scale > 0 and centred.size:
        best = int(np.argmax(centred))
        p_value = float(min(1.0, 4 * independent * t.sf(centred[best] / scale, independent / 3)))
        if p_value > 0.05:
            break
        first = best + shortest - shortest // 2
        near = np.arange(max(first, 1), min(first + 2 * (shortest // 2) + 1, values.size))
        found.append(Cut(int(near[np.argmax(np.abs(values[near] - values[near - 1]))]), p_value))
        centred[max(best - shortest, 0) : best + shortest + 1] = 0.0
    return sorted(found, key=lambda cut: cut.place) if len(found) <= max(3, independent / 20) else []


def _width(size: Floats | float) -> Floats:
    """Sum of squares of `size` consecutive places around their mean; at least 1/2."""
    return np.asarray(np.maximum(size * (np.square(size) - 1) / 12, 0.5))
